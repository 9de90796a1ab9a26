import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { eventually, type JsonObject, RawUpstream, within } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type Proxied, startRouter, summary } from './support.ts';

const OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function cluster(port: number, config: JsonObject): JsonObject {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    load_assignment: {
      cluster_name: 'c',
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': OPTIONS, ...config },
    },
  };
}

const HTTP2: JsonObject = { explicit_http_config: { http2_protocol_options: { allow_connect: true } } };

async function startProxy(
  port: number,
  config: JsonObject = HTTP2,
): Promise<Proxied & { open(): ClientHttp2Session }> {
  const proxied = await startRouter({
    clusters: { c: cluster(port, config) },
    routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }],
    manager: {
      codec_type: 'HTTP2',
      http2_protocol_options: { allow_connect: true },
      upgrade_configs: [{ upgrade_type: 'websocket' }],
    },
  });
  return Object.assign(proxied, {
    open: () => connect(`http://127.0.0.1:${proxied.proxy.port}`, { maxSessionMemory: 100 }),
  });
}

async function serve(answer: (stream: ServerHttp2Stream, lines: readonly string[]) => void) {
  const server = createServer({ maxSessionMemory: 100, settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, _headers, _flags, raw) => {
    stream.on('error', () => {});
    answer(stream as ServerHttp2Stream, raw as unknown as readonly string[]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

interface Answer {
  status: number;
  body: Buffer;
  trailers: Record<string, unknown>;
  code: number;
}

/** What comes back on a stream; `code` is that of its end. */
async function read(stream: ClientHttp2Stream): Promise<Answer> {
  const answer: Answer = { status: 0, body: Buffer.alloc(0), trailers: {}, code: 0 };
  const chunks: Buffer[] = [];
  stream.on('response', (headers) => {
    answer.status = headers[':status'] ?? 0;
  });
  stream.on('trailers', (headers) => {
    answer.trailers = { ...headers };
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => {});
  await within(once(stream, 'close'), 'the end of the stream');
  return { ...answer, body: Buffer.concat(chunks), code: stream.rstCode };
}

function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  waitForTrailers = false,
): ClientHttp2Stream {
  return session.request({ ':path': '/', ...headers }, { endStream: false, waitForTrailers });
}

describe('HTTP/2 to HTTP/2', () => {
  test('carries trailers both ways, as gRPC has them', async () => {
    let asked: Record<string, unknown> = {};
    await using upstream = await serve((stream) => {
      stream.on('trailers', (trailers) => {
        asked = { ...trailers };
      });
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end('reply');
      });
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const stream = ask(
      session,
      { ':method': 'POST', te: 'trailers', 'content-type': 'application/grpc' },
      true,
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }));
    stream.end('request');
    const answer = await read(stream);
    expect([answer.status, answer.body.toString(), answer.trailers['grpc-status']]).toEqual([
      200,
      'reply',
      '0',
    ]);
    expect(asked['x-t']).toBe('1');
    session.close();
  });

  test('carries many large bodies at once, in both directions', async () => {
    await using upstream = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const body = Buffer.alloc(2 * 1024 * 1024, 'abcdefg');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => {
        const stream = ask(session, { ':method': 'POST' });
        stream.end(body);
        return read(stream);
      }),
    );
    expect(answers.map((answer) => answer.body.equals(body))).toEqual(new Array(8).fill(true));
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_rq_active') === 0);
    expect(proxied.proxy.stat('cluster.c.http2.streams_active')).toBe(0);
    session.close();
  });

  test('carries messages as they come, before either side has ended', async () => {
    await using upstream = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`));
      stream.on('end', () => stream.end());
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const stream = ask(session, { ':method': 'POST' });
    for (const text of ['a', 'b', 'c']) {
      stream.write(text);
      expect((await within(once(stream, 'data'), 'an answer')).toString()).toBe(`<${text}>`);
    }
    stream.end();
    await within(once(stream, 'close'), 'the end');
    session.close();
  });

  test('tells the upstream that the client has given up', async () => {
    const codes: number[] = [];
    await using upstream = await serve((stream) => {
      stream.on('close', () => codes.push(stream.rstCode));
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const stream = ask(session, { ':method': 'POST' });
    stream.on('error', () => {});
    stream.write('x');
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_rq_active') === 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await eventually(() => codes.length === 1);
    expect(codes).toEqual([constants.NGHTTP2_CANCEL]);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_tx_reset')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.http2.tx_reset')).toBe(1);
    session.close();
  });

  test('lets no broken response pass for a whole one', async () => {
    await using upstream = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('part');
      setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), 5);
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const stream = ask(session, { ':method': 'GET' });
    stream.end();
    // Node's server ends the message first: what is whole for it is whole for us.
    expect((await read(stream)).body.toString()).toBe('part');
    session.close();
  });

  test('keeps one stream going when another is slow', async () => {
    const chunk = Buffer.alloc(16 * 1024);
    await using upstream = await serve((stream, lines) => {
      stream.respond({ ':status': 200 });
      if (lines[lines.indexOf(':path') + 1] === '/fast') stream.end('fast');
      else for (let i = 0; i < 1024; i++) stream.write(chunk);
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    const slow = ask(session, { ':path': '/slow' });
    slow.on('error', () => {});
    await within(once(slow, 'response'), 'the slow one');
    for (let i = 0; i < 5; i++) {
      const fast = ask(session, { ':path': '/fast' });
      fast.end();
      expect((await read(fast)).body.toString()).toBe('fast');
    }
    slow.close(constants.NGHTTP2_CANCEL);
    session.close();
  });

  test('switches protocols from end to end', async () => {
    let lines: readonly string[] = [];
    await using upstream = await serve((stream, raw) => {
      lines = raw;
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    await using proxied = await startProxy(upstream.port);
    const session = proxied.open();
    await within(once(session, 'remoteSettings'), 'SETTINGS');
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/ws' });
    const [headers] = await within(once(stream, 'response'), 'the answer');
    stream.write('hi');
    const [data] = await within(once(stream, 'data'), 'the echo');
    expect([headers[':status'], String(data), lines[1]]).toEqual([200, 'hi', 'CONNECT']);
    expect(lines[lines.indexOf(':protocol') + 1]).toBe('websocket');
    stream.end();
    session.close();
  });
});

describe('use_downstream_protocol_config', () => {
  const follow: JsonObject = {
    use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
  };

  test('speaks what the client does', async () => {
    await using upstream = await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('two');
    });
    await using proxied = await startProxy(upstream.port, follow);
    const session = proxied.open();
    const stream = ask(session, {});
    stream.end();
    expect((await read(stream)).body.toString()).toBe('two');
    expect((await proxied.entry()).info.upstreamProtocol).toBe('HTTP/2');
    session.close();
  });
});

test('HTTP/2 to HTTP/1.1 makes an upgrade of an extended CONNECT', async () => {
  let head = '';
  await using upstream = await RawUpstream.start(async (connection) => {
    head = await connection.readUntil('\r\n\r\n');
    await connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    await connection.readUntil('ping');
    await connection.write('pong');
  });
  await using proxied = await startProxy(upstream.port, {
    explicit_http_config: { http_protocol_options: {} },
  });
  const session = proxied.open();
  await within(once(session, 'remoteSettings'), 'SETTINGS');
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/ws' });
  stream.on('error', () => {});
  const [headers] = await within(once(stream, 'response'), 'the answer');
  stream.write('ping');
  const [data] = await within(once(stream, 'data'), 'the answer');
  expect([headers[':status'], String(data)]).toEqual([200, 'pong']);
  expect(head).toMatch(/^GET \/ws HTTP\/1\.1\r\n.*upgrade: websocket\r\n/s);
  session.destroy();
  expect(summary(await proxied.entry())).toMatch(/^(101|200) /);
});
