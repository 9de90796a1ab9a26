import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import { defineHttpFilter } from '@dragoman/core';
import { upstreamCodec } from '@dragoman/http';
import {
  eventually,
  frames,
  Http2Code,
  type HttpBootstrapOptions,
  hpack,
  type JsonObject,
  type RawResponse,
  requestText,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type FrameAnswer, FrameUpstream, OK } from './frame-upstream.ts';
import { type Proxied, startRouter, summary } from './support.ts';

const OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function http2Cluster(port: number, options: JsonObject = {}, more: JsonObject = {}): JsonObject {
  return {
    load_assignment: {
      cluster_name: 'c',
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
          ],
        },
      ],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': OPTIONS,
        explicit_http_config: { http2_protocol_options: { allow_connect: true, ...options } },
        ...more,
      },
    },
  };
}

function to(port: number, action: JsonObject = {}, more: HttpBootstrapOptions = {}): HttpBootstrapOptions {
  return {
    clusters: { c: http2Cluster(port) },
    routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s', ...action } }],
    ...more,
  };
}

/** A server of Node's. */
async function serve(answer: (stream: ServerHttp2Stream, lines: readonly string[]) => void) {
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (opened, _headers, _flags, raw) => {
    const stream = opened as ServerHttp2Stream;
    stream.on('error', () => {});
    answer(stream, raw as unknown as readonly string[]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Lets every delay between tries pass, until the answer is there. */
async function answered(proxied: Proxied, asked: Promise<RawResponse>): Promise<RawResponse> {
  let done = false;
  const settled = asked.finally(() => {
    done = true;
  });
  while (!done) await proxied.clock.advanceAsync(1);
  return settled;
}

describe('a request', () => {
  test('goes upstream as HTTP/2 and comes back as what it was', async () => {
    let lines: readonly string[] = [];
    await using upstream = await serve((stream, raw) => {
      lines = raw;
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        stream.respond({ ':status': 201, 'x-a': '1' });
        stream.end(Buffer.concat(chunks));
      });
    });
    await using proxied = await startRouter(to(upstream.port));
    const body = 'x'.repeat(300_000);
    const response = await proxied.proxy.send('POST', '/p', ['x-b: 2'], body);
    expect([response.status, response.header('x-a'), response.body.toString() === body]).toEqual([
      201,
      '1',
      true,
    ]);
    expect(lines.slice(0, 8)).toEqual([
      ':method',
      'POST',
      ':scheme',
      'http',
      ':path',
      '/p',
      ':authority',
      expect.any(String),
    ]);
    const { info } = await proxied.entry();
    expect([info.upstreamProtocol, info.upstreamWireBytesSent > body.length]).toEqual(['HTTP/2', true]);
    expect(info.upstreamWireBytesReceived).toBeGreaterThan(body.length);
    expect(info.upstreamHeaderBytesSent).toBeGreaterThan(20);
    expect(proxied.proxy.stat('cluster.c.upstream_cx_http2_total')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.http2.streams_active')).toBe(0);
  });

  test('shares its connection with others', async () => {
    await using upstream = await serve((stream) => {
      setImmediate(() => {
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
    });
    await using proxied = await startRouter(to(upstream.port));
    await proxied.proxy.get('/');
    const all = await Promise.all(Array.from({ length: 20 }, () => proxied.proxy.get('/')));
    expect(all.map(({ status }) => status)).toEqual(new Array(20).fill(200));
    expect(proxied.proxy.stat('cluster.c.upstream_cx_total')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_active')).toBe(0);
  });

  test('that is a WebSocket handshake becomes an extended CONNECT', async () => {
    let lines: readonly string[] = [];
    await using upstream = await serve((stream, raw) => {
      lines = raw;
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`echo:${chunk.toString()}`));
      stream.on('end', () => stream.end());
    });
    await using proxied = await startRouter({
      ...to(upstream.port),
      manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
    });
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/ws', ['connection: Upgrade', 'upgrade: websocket']));
    expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 .*upgrade: websocket/s);
    await client.write('hi');
    expect((await client.read(7)).toString()).toBe('echo:hi');
    expect([lines[1], lines[lines.indexOf(':protocol') + 1]]).toEqual(['CONNECT', 'websocket']);
    client.end();
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_rq_active') === 0);
  });

  test('whose answer comes before it is complete is let go without error', async () => {
    await using upstream = await FrameUpstream.start((id, send) =>
      send(
        frames.headers(
          id,
          hpack.block([
            [':status', '413'],
            ['content-length', '0'],
          ]),
          { endStream: true },
        ),
      ),
    );
    await using proxied = await startRouter(to(upstream.port));
    await using client = await proxied.proxy.connect();
    await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart');
    const response = await client.readResponse();
    expect(response.status).toBe(413);
    await eventually(() => upstream.received.some(({ type }) => type === 3));
    const reset = upstream.received.find(({ type }) => type === 3);
    expect(reset?.payload.readUInt32BE(0)).toBe(Http2Code.noError);
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_rq_active') === 0);
  });
});

describe('an upstream that fails', () => {
  const FAILURES: readonly [string, FrameAnswer, string][] = [
    [
      'resets before the response',
      (id, send) => send(frames.rstStream(id, Http2Code.internalError)),
      '503 UR upstream_reset_before_response_started{remote_reset}',
    ],
    [
      'resets with PROTOCOL_ERROR',
      (id, send) => send(frames.rstStream(id, Http2Code.protocolError)),
      '503 UR upstream_reset_before_response_started{remote_reset}',
    ],
    [
      'refuses the stream',
      (id, send) => send(frames.rstStream(id, Http2Code.refusedStream)),
      '503 UR upstream_reset_before_response_started{remote_refused_stream_reset}',
    ],
    [
      'leaves without having begun',
      (_id, send) => send(frames.goaway(0, Http2Code.noError)),
      '503 UR upstream_reset_before_response_started{remote_refused_stream_reset}',
    ],
    [
      'closes the connection',
      (_id, _send, socket) => void socket.end(),
      '503 UC upstream_reset_before_response_started{connection_termination}',
    ],
    [
      'has a broken status',
      (id, send) => send(frames.headers(id, hpack.block([[':status', 'x']]), { endStream: true })),
      '502 UPE upstream_reset_before_response_started{protocol_error|http2.invalid.header.field}',
    ],
    [
      'is no HTTP/2',
      (_id, send) => send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')),
      '502 UPE upstream_reset_before_response_started{protocol_error|http2.protocol_error}',
    ],
    [
      'resets in the middle',
      (id, send) =>
        send(frames.headers(id, OK), frames.data(id, 'part'), frames.rstStream(id, Http2Code.cancel)),
      '200 UR upstream_reset_after_response_started{remote_reset}',
    ],
    [
      'resets in the middle as if nothing were wrong',
      (id, send) =>
        send(frames.headers(id, OK), frames.data(id, 'part'), frames.rstStream(id, Http2Code.noError)),
      '200 UR upstream_reset_after_response_started{remote_reset}',
    ],
  ];

  test.each(FAILURES)('%s', async (_name, answer, expected) => {
    await using upstream = await FrameUpstream.start(answer);
    await using proxied = await startRouter(to(upstream.port));
    await proxied.proxy.get('/').catch(() => undefined);
    expect(summary(await proxied.entry())).toBe(expected);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_active')).toBe(0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_rx_reset')).toBe(1);
  });

  test('speaks HTTP/1.1 only', async () => {
    await using upstream = await FrameUpstream.start(
      () => {},
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    await using proxied = await startRouter(to(upstream.port));
    expect((await proxied.proxy.get('/')).status).toBe(502);
    expect(summary(await proxied.entry())).toBe(
      '502 UPE upstream_reset_before_response_started{protocol_error|http2.protocol_error}',
    );
    expect(proxied.proxy.stat('cluster.c.upstream_cx_protocol_error')).toBe(1);
  });

  test('never says that it speaks HTTP/2', async () => {
    await using upstream = await FrameUpstream.start(() => {}, Buffer.alloc(0));
    await using proxied = await startRouter(to(upstream.port));
    const asked = proxied.proxy.get('/');
    await eventually(() => upstream.sockets.length === 1);
    proxied.clock.advance(5000);
    expect((await asked).status).toBe(503);
    expect(summary(await proxied.entry())).toBe(
      '503 UF upstream_reset_before_response_started{connection_timeout}',
    );
  });
});

describe('tries', () => {
  /** Answers the first `failures` requests so, and the others with 200. */
  function failingFirst(failures: number, failure: FrameAnswer): FrameAnswer {
    let seen = 0;
    return (id, send, socket) => {
      if (seen++ < failures) failure(id, send, socket);
      else send(frames.headers(id, OK, { endStream: true }));
    };
  }

  test.each<[string, FrameAnswer, string]>([
    [
      'refused-stream',
      (id, send) => send(frames.rstStream(id, Http2Code.refusedStream)),
      '200 - via_upstream',
    ],
    ['refused-stream', (_id, send) => send(frames.goaway(0)), '200 - via_upstream'],
    [
      'refused-stream',
      (id, send) => send(frames.rstStream(id, Http2Code.cancel)),
      '503 UR upstream_reset_before_response_started{remote_reset}',
    ],
    ['reset', (id, send) => send(frames.rstStream(id, Http2Code.cancel)), '200 - via_upstream'],
    ['reset', (_id, _send, socket) => void socket.resetAndDestroy(), '200 - via_upstream'],
    [
      'connect-failure',
      (_id, _send, socket) => void socket.resetAndDestroy(),
      '503 UC upstream_reset_before_response_started{connection_termination}',
    ],
    [
      'unavailable',
      (id, send) =>
        send(
          frames.headers(
            id,
            hpack.block([
              [':status', '200'],
              ['grpc-status', '14'],
            ]),
            { endStream: true },
          ),
        ),
      '200 - via_upstream',
    ],
  ])('%s', async (retry_on, failure, expected) => {
    await using upstream = await FrameUpstream.start(failingFirst(1, failure));
    await using proxied = await startRouter(to(upstream.port, { retry_policy: { retry_on } }));
    await answered(proxied, proxied.proxy.get('/'));
    const entry = await proxied.entry();
    expect(summary(entry)).toBe(expected);
    expect(upstream.requests).toBe(expected.startsWith('200') ? 2 : 1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_active')).toBe(0);
  });
});

describe('filters on the upstream side', () => {
  const mark = defineHttpFilter({
    name: 'mark',
    config: StructSchema,
    upstream: true,
    create: (config) => () => ({
      onRequestHeaders: (headers) => void headers.append('x-mark', String(config.fields['by']?.kind.value)),
    }),
  });
  const list = (by: string): readonly JsonObject[] => [
    { name: 'mark', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: { by } } },
    {
      name: 'envoy.filters.http.upstream_codec',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec',
      },
    },
  ];

  async function marks(cluster: boolean, router: boolean): Promise<string[]> {
    const seen: string[] = [];
    await using upstream = await serve((stream, raw) => {
      const at = raw.indexOf('x-mark');
      seen.push(at < 0 ? '-' : (raw[at + 1] as string));
      stream.respond({ ':status': seen.length === 1 ? 503 : 200 }, { endStream: true });
    });
    await using proxied = await startRouter(
      {
        clusters: { c: http2Cluster(upstream.port, {}, cluster ? { http_filters: list('cluster') } : {}) },
        routes: [
          {
            match: { prefix: '/' },
            route: { cluster: 'c', timeout: '0s', retry_policy: { retry_on: '5xx' } },
          },
        ],
        ...(router ? { router: { upstream_http_filters: list('router') } } : {}),
      },
      [mark, upstreamCodec],
    );
    await answered(proxied, proxied.proxy.get('/'));
    return seen;
  }

  test.each([
    [false, false, '-'],
    [false, true, 'router'],
    [true, false, 'cluster'],
    [true, true, 'cluster'],
  ])('of the cluster: %s, of the router: %s', async (cluster, router, mark) => {
    expect(await marks(cluster, router)).toEqual([mark, mark]);
  });

  test.each([
    ['cluster', 'clusters\\[0\\].*http_filters\\[0\\]'],
    ['router', 'upstream_http_filters\\[0\\]'],
  ])('that are not for it are refused (%s)', async (where, path) => {
    const here = { ...mark, upstream: false };
    const options = {
      clusters: { c: http2Cluster(1, {}, where === 'cluster' ? { http_filters: list('x') } : {}) },
      ...(where === 'router' ? { router: { upstream_http_filters: list('x') } } : {}),
    };
    await expect(startRouter(options, [here, upstreamCodec])).rejects.toThrow(new RegExp(path));
  });
});
