import { Address, RequestHeaders, type RequestIds } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import {
  ClientCertPolicy,
  compileRequestMutation,
  type RequestMutationOptions,
} from '../src/headers/index.ts';
import { streamInfo } from './routes-support.ts';

const ids: RequestIds = {
  set(headers, force) {
    if (force || !headers.has('x-request-id')) headers.set('x-request-id', 'ours');
  },
  setInResponse() {},
  get: (headers) => headers.get('x-request-id') ?? '',
  toInteger: () => undefined,
  traceReason: () => 'not-traceable',
  setTraceReason() {},
  useForTraceSampling: true,
};

const DEFAULTS: RequestMutationOptions = {
  useRemoteAddress: false,
  xffNumTrustedHops: 0,
  skipXffAppend: false,
  appendXForwardedPort: true,
  internalAddresses: undefined,
  via: '',
  userAgent: undefined,
  generateRequestId: true,
  preserveExternalRequestId: false,
  schemeToOverwrite: undefined,
  schemeMatchUpstream: false,
  clientCert: new ClientCertPolicy('sanitize'),
  earlyMutations: [],
  originalIpDetection: [],
  requestIds: ids,
  localInfo: { cluster: '', node: '', zone: '', address: '10.9.9.9' },
};

interface Situation {
  readonly options: Partial<RequestMutationOptions>;
  readonly peer: string;
  /** x-forwarded-for, but where it is the header in question. */
  readonly forwardedFor?: string;
}

/** The columns of the table. */
const SITUATIONS: Readonly<Record<string, Situation>> = {
  'edge, from outside': { options: { useRemoteAddress: true }, peer: '203.0.113.7' },
  'edge, from inside': { options: { useRemoteAddress: true }, peer: '10.0.0.5' },
  'edge, behind a trusted hop': {
    options: { useRemoteAddress: true, xffNumTrustedHops: 1 },
    peer: '10.0.0.5',
    forwardedFor: '203.0.113.7',
  },
  'no edge, from outside': { options: {}, peer: '10.0.0.5', forwardedFor: '203.0.113.7' },
  'no edge, from inside': { options: {}, peer: '10.0.0.5', forwardedFor: '10.0.0.9' },
};

const KEPT = 'kept';
const GONE = 'gone';

/** Whoever is inside may say how a request is retried, timed and traced. */
const INSIDERS = [GONE, KEPT, GONE, GONE, KEPT];
/** What the edge says of a request: the proxies behind it believe it. */
const OF_THE_EDGE = [GONE, KEPT, GONE, KEPT, KEPT];
const ALL_KEPT = [KEPT, KEPT, KEPT, KEPT, KEPT];
const ALL_GONE = [GONE, GONE, GONE, GONE, GONE];

/** A header that came with `theirs`, and what is there afterwards in each situation. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  'x-envoy-retriable-status-codes': INSIDERS,
  'x-envoy-retriable-header-names': INSIDERS,
  'x-envoy-retry-on': INSIDERS,
  'x-envoy-retry-grpc-on': INSIDERS,
  'x-envoy-max-retries': INSIDERS,
  'x-envoy-upstream-alt-stat-name': INSIDERS,
  'x-envoy-upstream-rq-timeout-ms': INSIDERS,
  'x-envoy-upstream-rq-per-try-timeout-ms': INSIDERS,
  'x-envoy-upstream-rq-timeout-alt-response': INSIDERS,
  'x-envoy-expected-rq-timeout-ms': INSIDERS,
  'x-envoy-force-trace': INSIDERS,
  'x-envoy-ip-tags': INSIDERS,
  'x-envoy-hedge-on-per-try-timeout': INSIDERS,
  'x-envoy-original-url': INSIDERS,
  'x-only-inside': INSIDERS,
  'only-inside': INSIDERS,
  'x-envoy-decorator-operation': OF_THE_EDGE,
  'x-envoy-original-path': OF_THE_EDGE,
  'x-envoy-original-host': OF_THE_EDGE,
  'x-envoy-downstream-service-cluster': OF_THE_EDGE,
  'x-envoy-downstream-service-node': OF_THE_EDGE,
  'x-envoy-internal': [GONE, 'true', GONE, GONE, 'true'],
  'x-envoy-external-address': ['203.0.113.7', KEPT, '203.0.113.7', KEPT, KEPT],
  'x-forwarded-client-cert': ALL_GONE,
  'x-forwarded-for': ['theirs,203.0.113.7', 'theirs,10.0.0.5', 'theirs,10.0.0.5', KEPT, KEPT],
  'x-forwarded-proto': ['http', 'http', KEPT, KEPT, KEPT],
  'x-forwarded-port': ['8080', '8080', KEPT, KEPT, KEPT],
  'x-request-id': ['ours', KEPT, 'ours', KEPT, KEPT],
  // Said by a proxy in front, or anybody: they decide over nothing here.
  'x-forwarded-host': ALL_KEPT,
  'x-client-trace-id': ALL_KEPT,
  'x-envoy-attempt-count': ALL_KEPT,
  'x-envoy-is-timeout-retry': ALL_KEPT,
  'x-envoy-upstream-service-time': ALL_KEPT,
  'x-envoy-overloaded': ALL_KEPT,
  authorization: ALL_KEPT,
  cookie: ALL_KEPT,
  via: ALL_KEPT,
  'user-agent': ALL_KEPT,
  trailer: ALL_KEPT,
  'x-other': ALL_KEPT,
  'x-envoy-something-else': ALL_KEPT,
  // Of one connection only.
  connection: ALL_GONE,
  'keep-alive': ALL_GONE,
  'proxy-connection': ALL_GONE,
  'transfer-encoding': ALL_GONE,
  te: ALL_GONE,
  referer: ALL_GONE,
};

/** With underscores: gone where the proper form is removed or written by the proxy; the rows above where nothing is said. */
const WITH_UNDERSCORES: Readonly<Record<string, readonly string[]>> = {
  'x-envoy-internal': ALL_GONE,
  'x-envoy-external-address': OF_THE_EDGE,
  'x-forwarded-for': [GONE, GONE, GONE, KEPT, KEPT],
  'x-forwarded-proto': [GONE, GONE, GONE, KEPT, KEPT],
  'x-forwarded-port': [GONE, GONE, GONE, KEPT, KEPT],
  'x-request-id': OF_THE_EDGE,
  // The codec refuses what others might take for a framing header; these two frame nothing.
  'keep-alive': ALL_KEPT,
  'proxy-connection': ALL_KEPT,
  'transfer-encoding': ALL_KEPT,
};

function after(name: string, value: string, { options, peer, forwardedFor }: Situation): string {
  const headers = new RequestHeaders();
  headers.method = 'GET';
  headers.path = '/';
  headers.authority = 'a.test';
  if (forwardedFor !== undefined && name !== 'x-forwarded-for')
    headers.append('x-forwarded-for', forwardedFor);
  headers.append(name, value);
  const mutate = compileRequestMutation({ ...DEFAULTS, ...options });
  mutate(headers, streamInfo({ remoteAddress: Address.ip(peer, 4321) }), ['x-only-inside', 'only-inside']);
  const found = headers.getJoined(name);
  return found === undefined ? GONE : found === value ? KEPT : found;
}

const row = (name: string) => Object.values(SITUATIONS).map((situation) => after(name, 'theirs', situation));

/** One, and all, of its hyphens as underscores. */
const spellings = (name: string) => [name.replace('-', '_'), name.replaceAll('-', '_')];

describe(`what becomes of a header: ${Object.keys(SITUATIONS).join('; ')}`, () => {
  test.each(Object.entries(TABLE))('%s', (name, expected) => {
    expect(row(name)).toEqual(expected);
  });

  test.each(Object.keys(TABLE).filter((name) => name.includes('-')))('%s, with underscores', (name) => {
    const expected = WITH_UNDERSCORES[name] ?? TABLE[name];
    for (const spelling of spellings(name))
      expect([spelling, ...row(spelling)]).toEqual([spelling, ...(expected ?? [])]);
  });

  test.each([
    ['always-forward-only', KEPT],
    ['forward-only', GONE],
    ['sanitize', GONE],
  ] as const)('x-forwarded-client-cert in both spellings with %s', (forwardClientCert, expected) => {
    for (const situation of Object.values(SITUATIONS))
      for (const name of ['x-forwarded-client-cert', 'x_forwarded_client_cert'])
        expect(
          after(name, 'theirs', {
            ...situation,
            options: { ...situation.options, clientCert: new ClientCertPolicy(forwardClientCert) },
          }),
        ).toBe(expected);
  });

  test.each([
    [['x-a'], ['x-b', 'x-other']],
    [['x-b'], ['x-a', 'x_a', 'x-other']],
    [['x-a', 'x-b'], ['x-other']],
    // The list may name a spelling with underscores: that one, and not the proper form.
    [['x_a'], ['x-a', 'x-b', 'x-other']],
    [[], ['x-a', 'x_a', 'x-b', 'x-other']],
  ])('internal_only_headers %j, of several lines each', (internalOnly, left) => {
    const headers = new RequestHeaders();
    for (const name of ['x-a', 'x_a', 'x-b', 'x-a', 'x-other', 'x_a', 'x-a', 'x_a'])
      headers.append(name, '1');
    compileRequestMutation(DEFAULTS)(headers, streamInfo(), internalOnly);
    expect([...new Set(headers.names)].filter((name) => /^x.(?:[ab]|other)$/.test(name))).toEqual(left);
  });

  test.each([
    ['preserve_external_request_id', { preserveExternalRequestId: true }, KEPT],
    ['no generate_request_id', { generateRequestId: false }, KEPT],
  ])('x-request-id with %s', (_what, options, expected) => {
    for (const situation of Object.values(SITUATIONS))
      expect(
        after('x-request-id', 'theirs', { ...situation, options: { ...situation.options, ...options } }),
      ).toBe(expected);
  });
});
