import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { durationMs, HeaderMatcherSchema, readLoose, RouteConfigurationSchema } from '@dragoman/api';
import {
  Address,
  drawFraction,
  type MetadataValue,
  RequestHeaders,
  ResponseHeaders,
  type Route,
  type Runtime,
} from '@dragoman/core';
import { compileHeaderMatcher } from '@dragoman/matching';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { compileRouteTable } from '../src/routes/index.ts';
import { streamInfo, testContext } from './routes-support.ts';

/** Envoy's route check cases; see the README there for what each field means. */
const FOLDER = new URL('../../../../../shared/conformance/router-check/', import.meta.url);

/** Cases that must fail: the tool's own example of a failing one. */
const FAILS_ON_PURPOSE = new Set(['TimeoutFailures']);

/** Cases that wait for something that is not built, with the reason. This list only shrinks. */
const WAITING: ReadonlyMap<string, string> = new Map();

interface Input {
  authority: string;
  path: string;
  method: string;
  ssl?: boolean;
  internal?: boolean;
  random_value?: number;
  runtime?: string;
  additional_request_headers?: { key: string; value: string }[];
  additional_response_headers?: { key: string; value: string }[];
  dynamic_metadata?: {
    metadata_namespace: string;
    value?: Record<string, MetadataValue>;
    typed_value?: Record<string, MetadataValue>;
    allow_overwrite?: boolean;
  }[];
}

interface Validate {
  cluster_name?: string;
  virtual_cluster_name?: string;
  virtual_host_name?: string;
  path_rewrite?: string;
  host_rewrite?: string;
  path_redirect?: string;
  code_redirect?: number;
  timeout?: unknown;
  request_header_matches?: object[];
  response_header_matches?: object[];
  request_header_fields?: { key: string; value: string }[];
  response_header_fields?: { key: string; value: string }[];
}

interface Check {
  test_name: string;
  input: Input;
  validate: Validate;
}

/** The tool's runtime: one key is on, with a draw that a zero numerator does not shut out. */
class CheckRuntime implements Runtime {
  current: string | undefined = undefined;

  get(): undefined {
    return undefined;
  }
  getInteger(_key: string, fallback: number): number {
    return fallback;
  }
  getNumber(_key: string, fallback: number): number {
    return fallback;
  }
  getBoolean(_key: string, fallback: boolean): boolean {
    return fallback;
  }
  featureEnabled(key: string, fallback: Parameters<Runtime['featureEnabled']>[1], draw: number): boolean {
    if (key !== this.current) return false;
    return drawFraction({ ...fallback, numerator: Math.max(fallback.numerator, 1) }, draw);
  }
}

function requestOf(input: Input): RequestHeaders {
  const headers = new RequestHeaders();
  headers.method = input.method;
  headers.path = input.path;
  headers.authority = input.authority;
  headers.scheme = input.ssl ? 'https' : 'http';
  headers.append('x-forwarded-proto', headers.scheme);
  if (input.internal) headers.append('x-envoy-internal', 'true');
  for (const { key, value } of input.additional_request_headers ?? [])
    headers.append(key.toLowerCase(), value);
  return headers;
}

function infoOf(input: Input) {
  const info = streamInfo({
    remoteAddress: Address.ip('127.0.0.1', 0),
    localAddress: Address.ip('127.0.0.1', 0),
  });
  for (const entry of input.dynamic_metadata ?? []) {
    const before = info.dynamicMetadata.get(entry.metadata_namespace);
    if (before !== undefined && !entry.allow_overwrite) continue;
    const { value, typed_value: typed } = entry;
    info.dynamicMetadata.set(entry.metadata_namespace, typed ?? { ...before, ...value });
  }
  return info;
}

/** What the tool prints of each property that a check names: expected and actual. */
function failures(
  name: string,
  check: Check,
  runtime: CheckRuntime,
  table: ReturnType<typeof compileRouteTable>,
): string[] {
  const { input, validate } = check;
  runtime.current = input.runtime;
  const headers = requestOf(input);
  const info = infoOf(input);
  const route: Route | undefined = table.match(headers, info, input.random_value ?? 0);
  const action = route?.action;
  const forwarded = action?.kind === 'forward';
  const found: string[] = [];
  const compare = (kind: string, expected: unknown, actual: unknown) => {
    if (expected !== actual)
      found.push(
        `${name}/${check.test_name}: expected: [${expected}], actual: [${actual}], test type: ${kind}`,
      );
  };
  const virtualCluster = route?.virtualClusterName?.(headers) ?? '';
  const cluster = action?.kind === 'forward' ? action.clusterName(headers, input.random_value ?? 0) : '';
  let redirect = '';
  if (action?.kind === 'redirect') redirect = action.location(headers, input.ssl === true);
  if (action?.kind === 'direct-response')
    redirect = `${headers.scheme}://${headers.authority}${headers.path}`;
  const response = new ResponseHeaders();
  response.status = 200;
  if (action?.kind === 'direct-response' && action.body !== undefined) {
    // As a local reply has them before the route's own headers.
    response.append('content-length', String(action.body.length));
    response.append('content-type', 'text/plain');
  }
  for (const { key, value } of input.additional_response_headers ?? [])
    response.append(key.toLowerCase(), value);
  if (action?.kind === 'forward') route?.finalizeRequestHeaders(headers, info);
  route?.finalizeResponseHeaders(response, info, headers);

  if (validate.cluster_name !== undefined) compare('cluster_name', validate.cluster_name, cluster);
  if (validate.virtual_cluster_name !== undefined)
    compare('virtual_cluster_name', validate.virtual_cluster_name, virtualCluster);
  if (validate.virtual_host_name !== undefined)
    // The tool knows a virtual host only of routes that forward.
    compare('virtual_host_name', validate.virtual_host_name, forwarded ? route?.virtualHostName : '');
  if (validate.path_redirect !== undefined) compare('path_redirect', validate.path_redirect, redirect);
  if (validate.code_redirect !== undefined)
    compare(
      'code_redirect',
      validate.code_redirect,
      action === undefined || action.kind === 'forward' ? 0 : action.status,
    );
  if (validate.path_rewrite !== undefined)
    compare('path_rewrite', validate.path_rewrite, forwarded ? headers.path : '');
  if (validate.host_rewrite !== undefined)
    compare('host_rewrite', validate.host_rewrite, forwarded ? headers.authority : '');
  if (validate.timeout !== undefined)
    compare('timeout', milliseconds(validate.timeout), forwarded ? action.timeoutMs : undefined);
  for (const [kind, matchers, target] of [
    ['request_header_matches', validate.request_header_matches, headers],
    ['response_header_matches', validate.response_header_matches, response],
  ] as const)
    for (const matcher of matchers ?? [])
      compare(
        `${kind} ${JSON.stringify(matcher)}`,
        true,
        compileHeaderMatcher(readLoose(HeaderMatcherSchema, matcher))(target),
      );
  for (const [kind, fields, target] of [
    ['request_header_fields', validate.request_header_fields, headers],
    ['response_header_fields', validate.response_header_fields, response],
  ] as const)
    for (const { key, value } of fields ?? [])
      compare(`${kind} ${key}`, value, target.getJoined(key.toLowerCase()));
  return found;
}

function milliseconds(value: unknown): number {
  const action = {
    virtual_hosts: [
      {
        name: 'a',
        domains: ['*'],
        routes: [{ match: { prefix: '/' }, route: { cluster: 'a', timeout: value } }],
      },
    ],
  };
  const route = readLoose(RouteConfigurationSchema, action).virtualHosts[0]?.routes[0];
  return route?.action.case === 'route' ? (durationMs(route.action.value.timeout) ?? Number.NaN) : Number.NaN;
}

function read(file: string): unknown {
  return parse(readFileSync(new URL(file, FOLDER), 'utf8'));
}

const present = existsSync(FOLDER);
const goldens = present ? readdirSync(FOLDER).filter((file) => file.includes('.golden.')) : [];

describe('route check cases', () => {
  it('are there', ({ skip }) => {
    if (!present && process.env['CI'] !== 'true') skip('../shared/conformance/router-check is not here');
    expect(goldens.length).toBeGreaterThan(0);
  });

  for (const golden of goldens) {
    const name = golden.slice(0, golden.indexOf('.'));
    const config = name === 'TimeoutFailures' ? 'Timeout.yaml' : `${name}.yaml`;
    const checks = read(golden) as { tests: Check[] };
    it(golden, () => {
      const runtime = new CheckRuntime();
      const reasons: string[] = [];
      try {
        const table = compileRouteTable(readLoose(RouteConfigurationSchema, read(config)), {
          context: testContext({ runtime }),
          perFilterConfig: () => undefined,
          virtualClusters: true,
        });
        for (const check of checks.tests) reasons.push(...failures(name, check, runtime, table));
      } catch (error) {
        reasons.push((error as Error).message);
      }
      const waiting = WAITING.get(golden);
      if (FAILS_ON_PURPOSE.has(name)) expect(reasons.join('\n')).toContain('test type: timeout');
      else if (waiting !== undefined)
        expect(reasons, `${golden} passes: take it off the list (${waiting})`).not.toEqual([]);
      else expect(reasons).toEqual([]);
    });
  }
});
