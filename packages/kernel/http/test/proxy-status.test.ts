import { HttpConnectionManager_ProxyStatusConfigSchema, readLoose } from '@dragoman/api';
import { ResponseFlag, type ResponseFlagName, ResponseHeaders } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { compileProxyStatus } from '../src/headers/index.ts';
import { ask, respond } from './manager-rig.ts';
import { streamInfo } from './routes-support.ts';

interface Scene {
  readonly flags?: readonly ResponseFlagName[];
  readonly details?: string;
  readonly termination?: string;
  readonly before?: string;
}

function run(
  config: JsonObject,
  { flags = ['NoRouteFound'], details = '', termination = '', before }: Scene,
) {
  const info = streamInfo();
  for (const flag of flags) info.setResponseFlag(ResponseFlag[flag]);
  info.responseCodeDetails = details;
  info.connectionTerminationDetails = termination;
  const headers = new ResponseHeaders();
  headers.status = 418;
  if (before !== undefined) headers.append('proxy-status', before);
  const message = readLoose(HttpConnectionManager_ProxyStatusConfigSchema, config);
  compileProxyStatus(message, 'server', 'node')(headers, info);
  return { text: headers.get('proxy-status'), status: headers.status };
}

describe('proxy-status: the error by the response flags', () => {
  /** Every flag: error and recommended status; undefined: none. */
  const ERRORS: Readonly<Record<ResponseFlagName, readonly [error: string, status: number] | undefined>> = {
    FailedLocalHealthCheck: ['destination_unavailable', 503],
    NoHealthyUpstream: ['destination_unavailable', 503],
    UpstreamRequestTimeout: ['http_response_timeout', 504],
    LocalReset: ['connection_timeout', 504],
    UpstreamRemoteReset: ['connection_terminated', 502],
    UpstreamConnectionFailure: ['connection_refused', 502],
    UpstreamConnectionTermination: ['connection_terminated', 502],
    UpstreamOverflow: ['connection_limit_reached', 503],
    NoRouteFound: ['destination_not_found', 500],
    DelayInjected: undefined,
    FaultInjected: undefined,
    RateLimited: ['connection_limit_reached', 503],
    UnauthorizedExternalService: undefined,
    RateLimitServiceError: ['connection_limit_reached', 503],
    DownstreamConnectionTermination: undefined,
    UpstreamRetryLimitExceeded: ['destination_unavailable', 503],
    StreamIdleTimeout: ['http_response_timeout', 504],
    InvalidEnvoyRequestHeaders: ['http_request_error', 418],
    DownstreamProtocolError: ['http_request_error', 418],
    UpstreamMaxStreamDurationReached: ['http_response_timeout', 504],
    ResponseFromCacheFilter: undefined,
    NoFilterConfigFound: ['proxy_configuration_error', 500],
    DurationTimeout: undefined,
    UpstreamProtocolError: ['http_protocol_error', 502],
    NoClusterFound: ['destination_unavailable', 503],
    OverloadManager: undefined,
    DnsResolutionFailed: ['dns_error', 502],
    DropOverload: undefined,
    DownstreamRemoteReset: undefined,
    UnconditionalDropOverload: undefined,
  };

  test.each(Object.entries(ERRORS))('%s', (flag, expected) => {
    const flags = [flag as ResponseFlagName];
    const text = expected === undefined ? undefined : `server; error=${expected[0]}`;
    expect(run({}, { flags })).toEqual({ text, status: 418 });
    expect(run({ set_recommended_response_code: true }, { flags })).toEqual({
      text,
      status: expected?.[1] ?? 418,
    });
  });

  test('the first in the order of the flags counts', () => {
    const flags = ['UpstreamRetryLimitExceeded', 'UpstreamConnectionFailure'] as const;
    expect(run({}, { flags }).text).toBe('server; error=connection_refused');
  });
});

describe('proxy-status: its parts', () => {
  const full = { details: 'route_not_found', termination: 'ended' };
  const base = 'server; error=destination_not_found';

  test.each<[string, JsonObject, Scene, string | undefined]>([
    ['everything', {}, full, `${base}; details="route_not_found; ended; NR"`],
    [
      'nothing of what came nearest',
      {},
      { details: 'route_not_found{virtual_host:secret|no_route}' },
      `${base}; details="route_not_found; NR"`,
    ],
    ['no termination', {}, { details: 'route_not_found' }, `${base}; details="route_not_found; NR"`],
    ['no details', {}, { termination: 'ended' }, base],
    ['remove_details', { remove_details: true }, full, base],
    [
      'remove_connection_termination_details',
      { remove_connection_termination_details: true },
      full,
      `${base}; details="route_not_found; NR"`,
    ],
    [
      'remove_response_flags',
      { remove_response_flags: true },
      full,
      `${base}; details="route_not_found; ended"`,
    ],
    ['literal_proxy_name', { literal_proxy_name: 'mine' }, {}, 'mine; error=destination_not_found'],
    ['use_node_id', { use_node_id: true }, {}, 'node; error=destination_not_found'],
    ['use_node_id, set at all', { use_node_id: false }, {}, 'node; error=destination_not_found'],
    ['behind that of a proxy further on', {}, { before: 'up; error=x' }, `up; error=x, ${base}`],
    ['nothing went wrong', {}, { flags: [], before: 'up' }, 'up'],
    [
      'what would end the text, or the line, is escaped',
      {},
      { details: 'a"b\r\n\tc\0' },
      `${base}; details="a\\"b\\r\\n\\tc; NR"`,
    ],
  ])('%s', (_, config, scene, text) => {
    expect(run(config, scene).text).toBe(text);
  });

  test('a name that would break the line is refused', () => {
    expect(() => run({ literal_proxy_name: 'a\r\nb' }, {})).toThrow('literal_proxy_name');
  });
});

describe('proxy_status_config', () => {
  test.each<[string, JsonObject, number, string]>([
    ['the status stays', {}, 503, '503'],
    [
      'the recommended status is sent, counted and logged',
      { set_recommended_response_code: true },
      504,
      '504',
    ],
  ])('%s', async (_, config, status, logged) => {
    const rig = await ask({
      manager: { proxy_status_config: config, via: 'v' },
      upstream: {
        headers(stream) {
          stream.info.setResponseFlag(ResponseFlag.UpstreamRequestTimeout);
          stream.reply({ status: 503, body: 'late', details: 'response_timeout' });
        },
      },
    });
    expect(rig.response.status).toBe(status);
    expect(rig.response.header('proxy-status')).toBe(
      'rig; error=http_response_timeout; details="response_timeout; UT"',
    );
    expect(rig.logged).toEqual([`${logged} response_timeout UT`]);
    expect(rig.stat('downstream_rq_5xx')).toBe(1);
  });

  test('a response without a flag has none', async () => {
    const rig = await ask({
      manager: { proxy_status_config: {} },
      upstream: { headers: (stream) => stream.sendHeaders(respond(503), true) },
    });
    expect(rig.response.header('proxy-status')).toBeUndefined();
  });
});
