/**
 * What every request pays for path rules and header mutation. Run: `node --conditions=dragoman-source bench/headers.bench.ts`
 */
import {
  Address,
  RequestHeaders,
  type RequestIds,
  ResponseHeaders,
  StreamInfo,
  systemClock,
} from '@dragoman/core';
import { ClientCertPolicy, compileRequestMutation, compileResponseMutation } from '../src/headers/index.ts';
import { compilePathPolicy, normalizePath } from '../src/path/index.ts';

/** Making ids has its own benchmark: here they cost nothing. */
const requestIds = {
  set: () => undefined,
  get: () => '',
  setInResponse: () => undefined,
} as unknown as RequestIds;

const connection = {
  id: 1,
  localAddress: Address.ip('10.0.0.1', 80),
  directRemoteAddress: Address.ip('203.0.113.7', 1),
  remoteAddress: Address.ip('203.0.113.7', 1),
  requestedServerName: '',
  applicationProtocols: [],
  transportProtocol: 'raw_buffer',
  tls: undefined,
  negotiatedProtocol: '',
  handshakeComplete: 0,
  startTime: 0,
  transportFailureReason: '',
  terminationDetails: '',
};

function mutation(useRemoteAddress: boolean) {
  return compileRequestMutation({
    useRemoteAddress,
    xffNumTrustedHops: 0,
    skipXffAppend: false,
    appendXForwardedPort: false,
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
    requestIds,
    localInfo: { cluster: '', node: '', zone: '', address: '' },
  });
}

const FIELDS = [
  'user-agent',
  'accept',
  'accept-encoding',
  'accept-language',
  'cookie',
  'authorization',
  'x-custom-a',
];

function freshRequest(): RequestHeaders {
  const headers = new RequestHeaders();
  headers.method = 'GET';
  headers.path = '/api/v1/things?x=1';
  headers.authority = 'example.com';
  for (const name of FIELDS) headers.append(name, 'value');
  return headers;
}

const BATCH = 200_000;

function measure<T>(name: string, prepare: () => T, run: (value: T) => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const values = Array.from({ length: BATCH }, prepare);
    const begin = performance.now();
    for (const value of values) run(value);
    best = Math.min(best, ((performance.now() - begin) * 1e6) / BATCH);
  }
  console.log(`${name}: ${best.toFixed(0)} ns`);
}

const info = new StreamInfo(connection, 0, 0);
const behind = mutation(false);
const edge = mutation(true);
measure('request mutation, default options', freshRequest, (headers) => behind(headers, info));
measure('request mutation, use_remote_address', freshRequest, (headers) => edge(headers, info));
const respond = compileResponseMutation({
  serverName: 'envoy',
  serverHeader: 'overwrite',
  via: '',
  alwaysSetRequestId: false,
  requestIds,
  proxyStatus: undefined,
  clock: systemClock,
});
const request = freshRequest();
measure(
  'response mutation',
  () => {
    const headers = new ResponseHeaders();
    headers.append('content-type', 'text/plain');
    headers.append('content-length', '5');
    return headers;
  },
  (headers) => respond.final(headers, request, info),
);
const policy = compilePathPolicy({ normalize: true, mergeSlashes: true, escapedSlashes: 'reject' });
measure('path policy, canonical path', freshRequest, policy);
measure(
  'normalizePath, dot segments',
  () => '/api/../v1/%2e%2e/things?x=1',
  (path) => normalizePath(path),
);
