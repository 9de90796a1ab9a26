import type { HttpFilter, OriginalIpDetectionExtension, TerminalHttpStream } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { ManagerRig, type RigOptions, respond } from './manager-rig.ts';

const WHOLE = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const PART = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab';
const GRPC = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 9\r\n\r\nab';

const silent = { upstream: { headers() {} } };
const collectsRequest: HttpFilter = { onRequestBody: () => 'collect' };
const collectsResponse: HttpFilter = { onResponseHeaders: () => 'collect', onResponseBody: () => 'collect' };
const fails: HttpFilter = {
  onRequestHeaders() {
    throw new Error('bug');
  },
};
const refuses: OriginalIpDetectionExtension = {
  category: 'original-ip-detection',
  name: 'refuses',
  create: () => ({ detect: () => ({ address: undefined, trusted: false, rejectStatus: 403 }) }),
};

interface Row {
  readonly name: string;
  readonly rig: RigOptions;
  readonly bytes: string;
  /** Time that goes by, ms. */
  readonly after?: number;
  /** `%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%` */
  readonly log: string;
  /** Undefined: the response was cut. */
  readonly body: string | undefined;
  readonly stats: readonly string[];
  readonly closes: boolean;
}

/** Replies that need time, filters or an upstream; those to a head alone are in local-replies.test.ts. */
const ROWS: readonly Row[] = [
  {
    name: 'request_timeout',
    rig: { manager: { request_timeout: '1s' }, ...silent },
    bytes: PART,
    after: 1000,
    log: '408 request_overall_timeout -',
    body: 'request timeout',
    stats: ['downstream_rq_timeout', 'downstream_rq_4xx', 'downstream_rq_response_before_rq_complete'],
    closes: true,
  },
  {
    name: 'request_headers_timeout',
    rig: { manager: { request_headers_timeout: '1s' } },
    bytes: 'GET / HT',
    after: 1000,
    log: '408 request_header_timeout -',
    body: 'request header timeout',
    stats: ['downstream_rq_header_timeout', 'downstream_rq_4xx'],
    closes: true,
  },
  {
    name: 'stream_idle_timeout, the client is late',
    rig: { manager: { stream_idle_timeout: '1s' }, ...silent },
    bytes: PART,
    after: 1000,
    log: '408 stream_idle_timeout SI',
    body: 'stream timeout',
    stats: ['downstream_rq_idle_timeout', 'downstream_rq_4xx'],
    closes: true,
  },
  {
    name: 'stream_idle_timeout, the upstream is late',
    rig: { manager: { stream_idle_timeout: '1s' }, ...silent },
    bytes: WHOLE,
    after: 1000,
    log: '504 stream_idle_timeout SI',
    body: 'stream timeout',
    stats: ['downstream_rq_idle_timeout', 'downstream_rq_5xx'],
    closes: false,
  },
  {
    name: 'stream_idle_timeout of a head',
    rig: { manager: { stream_idle_timeout: '1s' } },
    bytes: 'GET / HT',
    after: 1000,
    log: '408 stream_idle_timeout SI',
    body: 'stream timeout',
    stats: ['downstream_rq_idle_timeout', 'downstream_rq_4xx'],
    closes: true,
  },
  {
    name: 'stream_idle_timeout, once the response has begun',
    rig: {
      manager: { stream_idle_timeout: '1s' },
      upstream: { headers: (stream) => stream.sendHeaders(respond(200), false) },
    },
    bytes: WHOLE,
    after: 1000,
    log: '200 stream_idle_timeout SI',
    body: undefined,
    stats: ['downstream_rq_idle_timeout', 'downstream_rq_tx_reset', 'downstream_rq_rx_reset'],
    closes: true,
  },
  {
    name: 'max_stream_duration, the client is late',
    rig: { manager: { common_http_protocol_options: { max_stream_duration: '1s' } }, ...silent },
    bytes: PART,
    after: 1000,
    log: '408 max_duration_timeout -',
    body: 'downstream duration timeout',
    stats: ['downstream_rq_max_duration_reached', 'downstream_rq_4xx'],
    closes: true,
  },
  {
    name: 'max_stream_duration, the upstream is late',
    rig: { manager: { common_http_protocol_options: { max_stream_duration: '1s' } }, ...silent },
    bytes: WHOLE,
    after: 1000,
    log: '504 max_duration_timeout -',
    body: 'downstream duration timeout',
    stats: ['downstream_rq_max_duration_reached', 'downstream_rq_5xx'],
    closes: false,
  },
  {
    name: 'max_stream_duration of a gRPC request',
    rig: { manager: { common_http_protocol_options: { max_stream_duration: '1s' } }, ...silent },
    bytes: GRPC,
    after: 1000,
    log: '200 max_duration_timeout -',
    body: '',
    stats: ['downstream_rq_max_duration_reached', 'downstream_rq_2xx'],
    closes: true,
  },
  {
    name: 'a request too large for its filters',
    rig: { filters: { collectsRequest }, context: { perConnectionBufferLimitBytes: 1 } },
    bytes: PART,
    log: '413 request_payload_too_large -',
    body: 'Payload Too Large',
    stats: ['downstream_rq_too_large', 'downstream_rq_4xx'],
    // The rest of a request that is small enough is read and thrown away.
    closes: false,
  },
  {
    name: 'a response too large for its filters',
    rig: { filters: { collectsResponse }, context: { perConnectionBufferLimitBytes: 1 } },
    bytes: WHOLE,
    log: '500 response_payload_too_large -',
    body: 'Internal Server Error',
    stats: ['rs_too_large', 'downstream_rq_5xx'],
    closes: false,
  },
  {
    name: 'a filter that fails',
    rig: { filters: { fails } },
    bytes: WHOLE,
    log: '500 filter_chain_error -',
    body: '',
    stats: ['downstream_rq_5xx'],
    closes: false,
  },
  {
    name: 'a terminal filter that fails once the response has begun',
    rig: {
      upstream: {
        headers(stream) {
          stream.sendHeaders(respond(200), false);
          throw new Error('bug');
        },
      },
    },
    bytes: WHOLE,
    log: '200 filter_chain_error -',
    body: undefined,
    stats: ['downstream_rq_2xx', 'downstream_rq_tx_reset', 'downstream_rq_rx_reset'],
    closes: true,
  },
  {
    name: 'an address that is refused',
    rig: {
      extensions: [refuses],
      manager: {
        original_ip_detection_extensions: [
          {
            name: 'refuses',
            typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
          },
        ],
      },
    },
    bytes: WHOLE,
    log: '403 rejecting_because_detection_failed -',
    body: '',
    stats: ['downstream_rq_rejected_via_ip_detection', 'downstream_rq_4xx'],
    closes: false,
  },
  {
    name: 'a path with escaped slashes, to be asked for anew',
    rig: { manager: { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' } },
    bytes: 'GET /a%2fb HTTP/1.1\r\nhost: a\r\n\r\n',
    log: '307 path_normalization_failed -',
    body: '',
    stats: ['downstream_rq_redirected_with_normalized_path', 'downstream_rq_3xx'],
    closes: false,
  },
];

describe('replies of the connection manager', () => {
  test.each(ROWS)('$name: $log', async ({ rig: options, bytes, after, log, body, stats, closes }) => {
    const rig = new ManagerRig(options);
    await rig.send(bytes);
    if (after !== undefined) {
      await rig.advance(after - 1);
      expect(rig.logged).toEqual([]);
      await rig.advance(1);
    }
    expect(rig.logged).toEqual([log]);
    if (body !== undefined) {
      const { response } = rig;
      expect([response.status, response.body.toString()]).toEqual([Number(log.slice(0, 3)), body]);
      expect(response.header('content-type')).toBe(body === '' ? expectedType(bytes) : 'text/plain');
      expect(response.header('connection')).toBe(closes ? 'close' : undefined);
    }
    for (const name of stats) expect([name, rig.stat(name)]).toEqual([name, 1]);
    expect(rig.stat('downstream_rq_completed')).toBe(1);
    expect(rig.stat('downstream_rq_active')).toBe(0);
    expect(rig.closed).toBe(closes);
  });

  test('max_stream_duration tells a gRPC client of its deadline', async () => {
    const rig = new ManagerRig({
      manager: { common_http_protocol_options: { max_stream_duration: '1s' } },
      ...silent,
    });
    await rig.send(GRPC);
    await rig.advance(1000);
    expect(rig.response.header('grpc-status')).toBe('4');
    expect(rig.response.header('grpc-message')).toBe('downstream duration timeout');
  });

  test('a reply while filters hold another takes its place', async () => {
    const rig = new ManagerRig({
      filters: { holds: { onResponseHeaders: () => 'pause' } },
      upstream: { headers: (stream) => stream.reply({ status: 500, body: 'first', details: 'first' }) },
    });
    await rig.request();
    expect(rig.client.text).toBe('');
    (rig.streams[0] as TerminalHttpStream).reply({ status: 503, body: 'second', details: 'second' });
    await rig.run();
    expect([rig.response.status, rig.response.body.toString()]).toEqual([503, 'second']);
    expect(rig.logged).toEqual(['503 second -']);
  });
});

function expectedType(bytes: string): string | undefined {
  return bytes === GRPC ? 'application/grpc' : undefined;
}
