import {
  create,
  type JsonObject,
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import {
  Address,
  type ClusterInfo,
  type ConnectionInfo,
  type HostDescription,
  type LogContext,
  RequestHeaders,
  ResponseHeaders,
  ResponseFlag,
  StreamInfo,
  type TlsInfo,
  Trailers,
} from '@dragoman/core';

/** 2026-01-02T03:04:05.678Z */
export const START_WALL = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
/** What the monotonic clock said then. */
export const START = 5000;

export function connection(changes: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return {
    id: 7,
    localAddress: Address.ip('10.0.0.1', 10000),
    directRemoteAddress: Address.ip('192.0.2.9', 40000),
    remoteAddress: Address.ip('192.0.2.9', 40000),
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: START_WALL,
    transportFailureReason: '',
    terminationDetails: '',
    ...changes,
  };
}

export const host: HostDescription = {
  address: Address.ip('10.1.0.5', 8080),
  hostname: 'backend.example',
  clusterName: 'backend',
  locality: { region: '', zone: '', subZone: '' },
  priority: 0,
  canary: false,
  metadata: new Map([['envoy.lb', { stage: 'canary', weight: 3 }]]),
};

/** A stream of which nothing is known yet. */
export function emptyContext(changes: Partial<ConnectionInfo> = {}): LogContext {
  return {
    info: new StreamInfo(connection(changes), START_WALL, START),
    request: undefined,
    response: undefined,
    responseTrailers: undefined,
    type: 'NotSet',
  };
}

export const tls: TlsInfo = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  sessionId: 'deadbeef',
  peerSubject: 'CN=client',
  peerIssuer: 'CN=ca',
  peerSerial: '0a',
  peerFingerprint256: 'aa',
  peerFingerprint1: 'bb',
  peerUriSans: ['spiffe://a', 'spiffe://b'],
  peerDnsSans: ['a.example', 'b.example'],
  peerCertificatePem: '-----BEGIN CERTIFICATE-----\nA+/=\n',
  localSubject: 'CN=server',
  localUriSans: ['spiffe://s'],
  localDnsSans: ['s.example'],
  peerIpSans: ['192.0.2.1', '2001:db8::1'],
  peerEmailSans: ['a@example'],
  peerOthernameSans: ['other'],
  localIpSans: ['192.0.2.2'],
  localEmailSans: ['s@example'],
  localOthernameSans: ['own'],
  peerChainFingerprints256: ['aa', 'cc'],
  peerChainFingerprints1: ['bb', 'dd'],
  peerChainSerials: ['0a', '0b'],
  peerValidFrom: Date.UTC(2025, 0, 2, 3, 4, 5),
  peerValidTo: Date.UTC(2030, 0, 1),
  group: 'X25519',
  serverName: 'upstream.example',
};

/** A request that went well, with everything a plaintext HTTP/1.1 request has. */
export function fullContext(): LogContext {
  const info = new StreamInfo(
    connection({
      requestedServerName: 'sni.example',
      ja3Hash: '71d1f47d1125ac53c3c6a4863c087cfe',
      ja4Hash: 't12i0107en_f06271c2b022_0f3b2bcde21d',
      startTime: START_WALL - 250,
      filterChain: {
        name: 'edge',
        metadata: new Map([['ns', { from: 'chain' }]]),
        listenerMetadata: new Map([['ns', { from: 'listener' }]]),
      },
    }),
    START_WALL,
    START,
  );
  info.protocol = 'HTTP/1.1';
  info.responseCode = 200;
  info.responseCodeDetails = 'via upstream';
  info.bytesReceived = 11;
  info.bytesSent = 2222;
  info.upstreamWireBytesSent = 101;
  info.upstreamWireBytesReceived = 102;
  info.upstreamHeaderBytesSent = 103;
  info.upstreamHeaderBytesReceived = 104;
  info.downstreamWireBytesSent = 105;
  info.downstreamWireBytesReceived = 106;
  info.downstreamHeaderBytesSent = 107;
  info.downstreamHeaderBytesReceived = 108;
  info.lastDownstreamRxByteReceived = START + 1.5;
  info.upstreamRequestStart = START + 1.75;
  info.upstreamPoolReady = START + 4.5;
  info.upstreamConnectStart = START + 2;
  info.upstreamConnectComplete = START + 3.25;
  info.upstreamHandshakeComplete = START + 4;
  info.firstUpstreamTxByteSent = START + 5;
  info.lastUpstreamTxByteSent = START + 6.9;
  info.firstUpstreamRxByteReceived = START + 20;
  info.lastUpstreamRxByteReceived = START + 31;
  info.firstDownstreamTxByteSent = START + 21;
  info.lastDownstreamTxByteSent = START + 33.7;
  info.downstreamHandshakeComplete = START + 0.4;
  info.end = START + 34.2;
  info.remoteAddress = Address.ip('203.0.113.7', 0);
  info.route = {
    routeName: 'main',
    virtualHostName: 'vh',
    metadata: new Map([['ns', { from: 'route' }]]),
    virtualHostMetadata: new Map([['ns', { from: 'host' }]]),
  };
  info.upstreamClusterInfo = {
    name: 'backend-v2',
    metadata: new Map([['ns', { from: 'cluster', nested: { deep: 1 } }]]),
  } as unknown as ClusterInfo;
  info.virtualClusterName = 'vc';
  info.requestId = '0b8f6e42-7d9d-4e5e-9a3c-1f2e3d4c5b6a';
  info.upstreamCluster = 'backend';
  info.upstreamHost = host;
  info.upstreamLocalAddress = Address.ip('10.0.0.1', 50000);
  info.upstreamRemoteAddress = Address.ip('2001:db8::1', 8080);
  info.upstreamProtocol = 'HTTP/1.1';
  info.upstreamConnectionId = 12;
  info.upstreamRequestAttemptCount = 2;
  info.setResponseFlag(ResponseFlag.UpstreamConnectionFailure | ResponseFlag.UpstreamRetryLimitExceeded);
  info.upstreamTransportFailureReason = 'connection refused';
  info.connection.transportFailureReason = 'tls failed';
  info.connectionTerminationDetails = 'filter says no';

  const request = new RequestHeaders();
  request.method = 'GET';
  request.path = '/new?a=1&b=%41%0a&c';
  request.authority = 'shop.example';
  request.scheme = 'http';
  request.append('x-envoy-original-path', '/old?q=2');
  request.append('x-forwarded-for', '198.51.100.1');
  request.append('x-forwarded-for', '203.0.113.7');
  request.append('user-agent', 'curl/8.0');
  request.append('x-request-id', info.requestId);
  request.append('x-custom', 'one');
  request.append('x-custom', 'two');
  request.append(
    'x-forwarded-client-cert',
    'By=spiffe://s;URI=spiffe://a,URI=spiffe://b;Subject="CN=\\"x,y\\""',
  );
  const response = new ResponseHeaders();
  response.status = 200;
  response.append('x-envoy-upstream-service-time', '18');
  response.append('content-type', 'text/plain');
  const responseTrailers = new Trailers();
  responseTrailers.append('x-checksum', 'abc');
  return { info, request, response, responseTrailers, type: 'DownstreamEnd' };
}

/** A `SubstitutionFormatString` with a JSON format. */
export function jsonMessage(value: JsonObject, omitEmptyValues = false): SubstitutionFormatString {
  return create(SubstitutionFormatStringSchema, { format: { case: 'jsonFormat', value }, omitEmptyValues });
}
