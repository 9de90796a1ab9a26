import { readLoose, type RouteConfiguration, RouteConfigurationSchema } from '@dragoman/api';
import {
  Address,
  ConfigError,
  type ConfigProblem,
  type ConnectionInfo,
  emptyRuntime,
  type FactoryContext,
  type FormatterFactory,
  type LogContext,
  RequestHeaders,
  type Route,
  StreamInfo,
  type TextFormatter,
} from '@dragoman/core';
import { StatsStore } from '@dragoman/stats';
import { SeededRandom } from '@dragoman/testing';
import { parse } from 'yaml';
import { compileRouteTable, type RouteTableOptions } from '../src/routes/index.ts';
import type { CompiledRouteTable } from '../src/routes/route-table.ts';

/** The few operators these tests use; the real ones are access-log's. */
export const testFormatters: FormatterFactory = {
  text: (format) => compileTestFormat(format),
  fromConfig: () => {
    throw new Error('not used here');
  },
  default: { format: () => '' },
};

function compileTestFormat(format: string): TextFormatter {
  return {
    format: (context: LogContext) =>
      format.replace(/%%|%(REQ|RESP)\(([^)]*)\)%|%PROTOCOL%/g, (whole, kind, name) => {
        if (whole === '%%') return '%';
        if (whole === '%PROTOCOL%') return context.info.protocol ?? '';
        const headers = kind === 'REQ' ? context.request : context.response;
        return headers?.getJoined(String(name).toLowerCase()) ?? '';
      }),
  };
}

export function testContext(parts: Partial<FactoryContext> = {}): FactoryContext {
  return {
    random: new SeededRandom(1),
    runtime: emptyRuntime,
    localInfo: { cluster: 'cluster', node: 'node', zone: '', address: '10.1.1.1' },
    formatters: testFormatters,
    stats: new StatsStore().createThread(),
    warn: () => undefined,
    ...parts,
  } as FactoryContext;
}

export function routeConfig(yaml: string): RouteConfiguration {
  return readLoose(RouteConfigurationSchema, parse(yaml));
}

export function tableOf(yaml: string, options: Partial<RouteTableOptions> = {}): CompiledRouteTable {
  return compileRouteTable(routeConfig(yaml), {
    context: testContext(),
    perFilterConfig: (name) => `config of ${name}`,
    ...options,
  });
}

/** A virtual host for every domain, with these routes. */
export function tableOfRoutes(
  routesYaml: string,
  options: Partial<RouteTableOptions> = {},
): CompiledRouteTable {
  const routes = parse(routesYaml);
  const config = { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] };
  return compileRouteTable(readLoose(RouteConfigurationSchema, config), {
    context: testContext(),
    perFilterConfig: (name) => `config of ${name}`,
    ...options,
  });
}

export function request(path: string, fields: Record<string, string> = {}): RequestHeaders {
  const headers = new RequestHeaders();
  headers.method = 'GET';
  headers.path = path;
  headers.authority = 'example.com';
  headers.scheme = 'http';
  headers.append('x-forwarded-proto', 'http');
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  return headers;
}

export function streamInfo(parts: Partial<ConnectionInfo> = {}): StreamInfo {
  const connection: ConnectionInfo = {
    id: 1,
    localAddress: Address.ip('10.0.0.1', 8080),
    directRemoteAddress: Address.ip('203.0.113.7', 4321),
    remoteAddress: parts.remoteAddress ?? Address.ip('203.0.113.7', 4321),
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: 0,
    transportFailureReason: '',
    terminationDetails: '',
    ...parts,
  };
  const info = new StreamInfo(connection, 0, 0);
  info.protocol = 'HTTP/1.1';
  return info;
}

/** The cluster of the route that takes a request: the shortest way to say which route it was. */
export function clusterFor(
  table: CompiledRouteTable,
  headers: RequestHeaders | string,
  random = 0,
  info: StreamInfo = streamInfo(),
): string | undefined {
  const made = typeof headers === 'string' ? request(headers) : headers;
  const route = table.match(made, info, random);
  if (route === undefined) return undefined;
  return route.action.kind === 'forward' ? route.action.clusterName(made, random) : route.action.kind;
}

/** The problems of a configuration that is refused. */
export function refusal(make: () => unknown): readonly ConfigProblem[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** The route that takes a request. */
export function routeFor(table: CompiledRouteTable, headers: RequestHeaders, random = 0): Route {
  const route = table.match(headers, streamInfo(), random);
  if (route === undefined) throw new Error('no route matched');
  return route;
}

/** The request as it goes upstream. */
export function forwarded(
  table: CompiledRouteTable,
  headers: RequestHeaders,
  suppress?: boolean,
): RequestHeaders {
  routeFor(table, headers).finalizeRequestHeaders(headers, streamInfo(), suppress);
  return headers;
}
