import {
  LoadShedPointName,
  OverloadActionName,
  type RandomSource,
  type ResettableStream,
  ResponseHeaders,
  type StreamCarrier,
  type StreamRegistry,
} from '@dragoman/core';
import { FrameClient, frames, Http2Code, TestOverload } from '@dragoman/testing';
import { describe, expect, test, vi } from 'vitest';
import { ManagerRig, ok, type RigOptions } from './manager-rig.ts';

const { stopAcceptingRequests, disableHttpKeepalive } = OverloadActionName;
const { hcmDecodeHeaders, hcmCreatingCodec, http1AbortDispatch, http2GoAwayOnDispatch } = LoadShedPointName;

type Name = ConstructorParameters<typeof TestOverload>[0][number];

function rigWith(
  names: readonly Name[],
  options: RigOptions = {},
): { rig: ManagerRig; overload: TestOverload } {
  const overload = new TestOverload(names);
  return { rig: new ManagerRig({ ...options, context: { ...options.context, overload } }), overload };
}

describe.each([stopAcceptingRequests, hcmDecodeHeaders])('%s', (name) => {
  test('a request is answered, and no filter hears of it', async () => {
    const heard: string[] = [];
    const { rig, overload } = rigWith([name], {
      filters: {
        one: () => {
          heard.push('made');
          return { onResponseHeaders: () => void heard.push('response') };
        },
      },
    });
    await rig.request('GET /before HTTP/1.1');
    expect(rig.responses()[0]?.status).toBe(200);
    heard.length = 0;
    overload.set(name, 1);
    await rig.request();
    const second = rig.responses()[1];
    expect([second?.status, second?.body.toString(), second?.header('content-type')]).toEqual([
      503,
      'envoy overloaded',
      'text/plain',
    ]);
    expect(second?.header('x-envoy-local-overloaded')).toBeUndefined();
    expect(heard).toEqual([]);
    expect(rig.upstream).toEqual(['GET /before', 'complete']);
    expect(rig.logged[1]).toBe('503 overload OM');
    expect(rig.stat('downstream_rq_overload_close')).toBe(1);
    expect(rig.stat('downstream_rq_5xx')).toBe(1);
    expect(rig.stat('downstream_rq_active')).toBe(0);
    overload.set(name, 0);
    await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 503, 200]);
    expect(rig.closed).toBe(false);
  });

  test('one with a body: the rest of it is passed over', async () => {
    const { rig, overload } = rigWith([name]);
    overload.set(name, 1);
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc', 'defghij');
    expect(rig.responses().map(({ status }) => status)).toEqual([503]);
    expect(rig.upstream).toEqual([]);
    overload.set(name, 0);
    await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([503, 200]);
  });

  test('HEAD and gRPC as every local reply', async () => {
    const { rig, overload } = rigWith([name]);
    overload.set(name, 1);
    await rig.request('HEAD / HTTP/1.1');
    const head = rig.responses(true);
    expect(head.map(({ status, body }) => [status, body.length])).toEqual([[503, 0]]);
    const other = rigWith([name]);
    other.overload.set(name, 1);
    await other.rig.request('POST /a.B/C HTTP/1.1', 'content-type: application/grpc');
    expect(other.rig.response.status).toBe(200);
    expect([other.rig.response.header('grpc-status'), other.rig.response.header('grpc-message')]).toEqual([
      '14',
      'envoy overloaded',
    ]);
  });

  test('append_local_overload', async () => {
    const { rig, overload } = rigWith([name], { manager: { append_local_overload: true } });
    await rig.request();
    overload.set(name, 1);
    await rig.request();
    expect(rig.responses().map((response) => response.header('x-envoy-local-overloaded'))).toEqual([
      undefined,
      'true',
    ]);
  });
});

test('a request that begins anew was let in', async () => {
  const { rig, overload } = rigWith([stopAcceptingRequests], {
    upstream: {
      headers(stream, headers) {
        if (headers.path !== '/') {
          ok(stream);
          return;
        }
        overload.set(stopAcceptingRequests, 1);
        const redirect = new ResponseHeaders();
        redirect.status = 302;
        headers.path = '/again';
        stream.restart(headers, redirect, []);
      },
    },
  });
  await rig.request();
  expect(rig.responses().map(({ status }) => status)).toEqual([200]);
});

describe('disable_http_keepalive', () => {
  test('the connection ends with its next response', async () => {
    const { rig, overload } = rigWith([disableHttpKeepalive]);
    await rig.request();
    overload.set(disableHttpKeepalive, 1);
    expect(rig.closed).toBe(false);
    await rig.request();
    expect(rig.responses().map((response) => response.header('connection'))).toEqual([undefined, 'close']);
    expect(rig.closed).toBe(true);
    expect(rig.stat('downstream_cx_overload_disable_keepalive')).toBe(1);
    expect(rig.stat('downstream_cx_drain_close')).toBe(1);
  });

  test('HTTP/2: GOAWAY, and the stream is served', async () => {
    const { rig, client, overload } = await http2([disableHttpKeepalive]);
    overload.set(disableHttpKeepalive, 1);
    client.request(1);
    await rig.run();
    expect(client.response(1).status).toBe(200);
    expect(client.goaway?.code).toBe(0);
    expect(rig.stat('downstream_cx_overload_disable_keepalive')).toBe(1);
  });
});

describe('hcm_ondata_creating_codec', () => {
  test('the connection ends with its first bytes', async () => {
    const { rig, overload } = rigWith([hcmCreatingCodec]);
    overload.set(hcmCreatingCodec, 1);
    await rig.request();
    expect([rig.closed, rig.client.text, rig.upstream]).toEqual([true, '', []]);
    expect(rig.stat('downstream_rq_overload_close')).toBe(1);
    expect(rig.stat('downstream_rq_total')).toBe(0);
    expect(rig.stat('downstream_cx_http1_total')).toBe(0);
    expect(rig.pair.server.info.terminationDetails).toBe('overload_error:onData_codec_creation_overload');
  });

  test('HTTP/2 as well', async () => {
    const { rig, overload } = rigWith([hcmCreatingCodec], { manager: { codec_type: 'HTTP2' } });
    expect(rig.stat('downstream_cx_http2_total')).toBe(0);
    overload.set(hcmCreatingCodec, 1);
    await rig.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect([rig.closed, rig.stat('downstream_cx_http2_total')]).toEqual([true, 0]);
  });

  test('one that has its codec goes on', async () => {
    const { rig, overload } = rigWith([hcmCreatingCodec]);
    await rig.request();
    overload.set(hcmCreatingCodec, 1);
    await rig.request();
    expect(rig.responses().map(({ status }) => status)).toEqual([200, 200]);
  });
});

describe('http1_server_abort_dispatch', () => {
  test('a request is answered without being read, and the connection ends', async () => {
    const { rig, overload } = rigWith([http1AbortDispatch]);
    overload.set(http1AbortDispatch, 1);
    await rig.request();
    expect([rig.response.status, rig.response.body.toString(), rig.response.header('connection')]).toEqual([
      500,
      'Internal Server Error',
      'close',
    ]);
    expect(rig.closed).toBe(true);
    expect(rig.logged).toEqual(['500 overload OM']);
    expect(rig.upstream).toEqual([]);
    expect(rig.stat('downstream_rq_overload_close')).toBe(1);
    expect(rig.stat('downstream_cx_protocol_error')).toBe(0);
  });

  test('in the middle of a request', async () => {
    const { rig, overload } = rigWith([http1AbortDispatch], { upstream: { headers() {} } });
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    overload.set(http1AbortDispatch, 1);
    await rig.send('def');
    expect(rig.response.status).toBe(500);
    expect(rig.closed).toBe(true);
    expect(rig.upstream).toEqual(['POST /', 'body:abc', 'complete']);
  });

  test('in the middle of a response: it is cut', async () => {
    const { rig, overload } = rigWith([http1AbortDispatch], {
      upstream: {
        headers(stream) {
          const headers = new ResponseHeaders();
          headers.status = 200;
          stream.sendHeaders(headers, false);
          stream.sendBody(Buffer.from('half'), false, true);
        },
      },
    });
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    overload.set(http1AbortDispatch, 1);
    await rig.send('def');
    expect(rig.client.text).toContain('half');
    expect(rig.client.text).not.toContain('\r\n0\r\n');
    expect(rig.closed).toBe(true);
    expect(rig.logged).toEqual(['200 overload_error:Aborting_Server_Dispatch OM']);
    expect(rig.stat('downstream_rq_active')).toBe(0);
  });

  test('a response that the client waits for goes on', async () => {
    const { rig, overload } = rigWith([http1AbortDispatch], { upstream: { headers() {} } });
    await rig.request();
    overload.set(http1AbortDispatch, 1);
    ok(rig.streams[0] as never);
    await rig.run();
    expect(rig.response.status).toBe(200);
    expect(rig.stat('downstream_rq_overload_close')).toBe(0);
  });
});

async function http2(
  names: readonly Name[],
): Promise<{ rig: ManagerRig; client: FrameClient; overload: TestOverload }> {
  const { rig, overload } = rigWith(names, {
    upstream: { headers: (stream, headers) => void (headers.path === '/never' || ok(stream)) },
  });
  const client = new FrameClient((bytes) => rig.pair.client.writeBody(bytes, false));
  let seen = 0;
  const run = rig.run.bind(rig);
  rig.run = async () => {
    for (let i = 0; i < 3; i++) {
      await run();
      client.feed(rig.client.bytes.subarray(seen));
      seen = rig.client.bytes.length;
    }
  };
  client.begin();
  await rig.run();
  return { rig, client, overload };
}

describe('http2_server_go_away_on_dispatch', () => {
  test('streams that have begun are served, and no other is', async () => {
    const { rig, client, overload } = await http2([http2GoAwayOnDispatch]);
    client.request(1, { ':path': '/never' });
    await rig.run();
    expect(client.goaway).toBeUndefined();
    overload.set(http2GoAwayOnDispatch, 1);
    client.request(3);
    await rig.run();
    expect(client.goaway).toMatchObject({ code: 0, lastStreamId: 3 });
    expect(client.response(3).status).toBe(200);
    client.request(5);
    await rig.run();
    expect(client.response(5).status).toBe(0);
    expect(rig.closed).toBe(false);
    ok(rig.streams[0] as never);
    await rig.run();
    expect(client.response(1).status).toBe(200);
    expect(overload.shed).toEqual({ [http2GoAwayOnDispatch]: 1 });
  });

  test('HTTP/1 is not asked', async () => {
    const { rig, overload } = rigWith([http2GoAwayOnDispatch]);
    overload.set(http2GoAwayOnDispatch, 1);
    await rig.request();
    expect(rig.response.header('connection')).toBeUndefined();
    expect(overload.shed).toEqual({});
  });
});

/** The streams of a connection, as `reset_high_memory_stream` sees them. */
class Carriers implements StreamRegistry {
  readonly carriers = new Set<StreamCarrier>();

  add(carrier: StreamCarrier): () => void {
    this.carriers.add(carrier);
    return () => this.carriers.delete(carrier);
  }

  get streams(): ResettableStream[] {
    const found: ResettableStream[] = [];
    for (const carrier of this.carriers) carrier.forEachStream((stream) => found.push(stream));
    return found;
  }

  get sizes(): number[] {
    return this.streams.map(({ heldBytes }) => heldBytes);
  }
}

describe('reset_high_memory_stream', () => {
  function watched(options: RigOptions): { rig: ManagerRig; carriers: Carriers } {
    const overload = new TestOverload([]);
    const carriers = new Carriers();
    overload.streams = carriers;
    return { rig: new ManagerRig({ ...options, context: { overload } }), carriers };
  }
  const hold = { hold: () => ({ onRequestHeaders: () => 'pause' as const }) };

  test('what filters hold of a request counts, and its connection ends', async () => {
    const { rig, carriers } = watched({ filters: hold });
    expect(carriers.sizes).toEqual([0]);
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9000\r\n\r\n', 'x'.repeat(3000));
    expect(carriers.sizes).toEqual([3000]);
    carriers.streams[0]?.resetForOverload();
    await rig.run();
    expect(rig.logged).toEqual(['0 overload OM']);
    expect([rig.closed, rig.client.text, rig.upstream]).toEqual([true, '', ['complete']]);
    expect([rig.stat('downstream_rq_rx_reset'), rig.stat('downstream_rq_tx_reset')]).toEqual([1, 0]);
    expect([rig.stat('downstream_rq_active'), rig.stat('downstream_cx_active')]).toEqual([0, 0]);
    expect(carriers.carriers.size).toBe(0);
  });

  test('one that is over stays as it is', async () => {
    const { rig, carriers } = watched({ filters: hold });
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    const [stream] = carriers.streams;
    stream?.resetForOverload();
    stream?.resetForOverload();
    await rig.run();
    stream?.resetForOverload();
    expect([stream?.heldBytes, rig.logged, rig.stat('downstream_rq_rx_reset')]).toEqual([
      0,
      ['0 overload OM'],
      1,
    ]);
  });

  test('what the terminal filter holds counts, and it hears of the end', async () => {
    const { rig, carriers } = watched({ upstream: { headers: () => {}, held: () => 77 } });
    await rig.request();
    expect(carriers.sizes).toEqual([77]);
    carriers.streams[0]?.resetForOverload();
    await rig.run();
    expect(rig.upstream).toEqual(['GET /', 'complete']);
  });

  test('between two requests a connection counts for what its peer has not taken', async () => {
    const { rig, carriers } = watched({});
    await rig.request();
    const buffered = vi.spyOn(rig.pair.server, 'bufferedBytes', 'get').mockReturnValue(5000);
    expect(carriers.sizes).toEqual([5000]);
    buffered.mockRestore();
    carriers.streams[0]?.resetForOverload();
    await rig.run();
    expect([rig.closed, rig.logged, rig.pair.server.info.terminationDetails]).toEqual([
      true,
      ['200 via_upstream -'],
      'overload',
    ]);
  });

  test('HTTP/2: the other streams of the connection go on', async () => {
    const { rig, carriers } = watched({ filters: hold, manager: { codec_type: 'HTTP2' } });
    const client = new FrameClient((bytes) => rig.pair.client.writeBody(bytes, false));
    client.begin();
    for (const id of [1, 3]) client.request(id, { ':method': 'POST' }, false);
    client.send(frames.data(1, Buffer.alloc(100)), frames.data(3, Buffer.alloc(2000)));
    await rig.run();
    await rig.run();
    expect(carriers.sizes).toEqual([100, 2000]);
    carriers.streams[1]?.resetForOverload();
    await rig.run();
    client.feed(rig.client.bytes);
    expect(client.response(3).reset).toBe(Http2Code.enhanceYourCalm);
    expect(client.response(1).reset).toBeUndefined();
    expect([carriers.sizes, rig.logged, rig.closed]).toEqual([[100], ['0 overload OM'], false]);
  });
});

describe('reduce_timeouts', () => {
  const idle = 'HTTP_DOWNSTREAM_CONNECTION_IDLE';
  const manager = { common_http_protocol_options: { idle_timeout: '10s' } };

  test('of connections at rest, also of those that rest already', async () => {
    const { rig, overload } = rigWith([idle], { manager });
    await rig.request();
    await rig.advance(4000);
    overload.set(idle, 0.5);
    await rig.advance(999);
    expect(rig.stat('downstream_cx_idle_timeout')).toBe(0);
    await rig.advance(1);
    expect(rig.stat('downstream_cx_idle_timeout')).toBe(1);
  });

  test('it is long again when the overload is over', async () => {
    const { rig, overload } = rigWith([idle], { manager });
    overload.set(idle, 0.5);
    await rig.advance(4000);
    overload.set(idle, 0);
    await rig.advance(5999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(rig.closed).toBe(true);
  });

  test('a time that is over already', async () => {
    const { rig, overload } = rigWith([idle], { manager });
    await rig.advance(6000);
    overload.set(idle, 0.9);
    await rig.advance(0);
    expect(rig.closed).toBe(true);
  });

  test('a connection that does something is none at rest', async () => {
    const { rig, overload } = rigWith([idle], { manager, upstream: { headers() {} } });
    await rig.request();
    await rig.advance(20_000);
    overload.set(idle, 0.9);
    await rig.advance(20_000);
    expect([rig.closed, rig.stat('downstream_cx_idle_timeout')]).toEqual([false, 0]);
  });

  const streamIdle = 'HTTP_DOWNSTREAM_STREAM_IDLE';
  test.each([
    ['of the connection manager', { stream_idle_timeout: '10s' }, undefined],
    ['of a route', { stream_idle_timeout: '60s' }, '10s'],
  ])('of streams: %s', async (_, fields, ofRoute) => {
    const { rig, overload } = rigWith([streamIdle], {
      manager: fields,
      routes: [
        { match: { prefix: '/' }, route: { cluster: 'c', ...(ofRoute && { idle_timeout: ofRoute }) } },
      ],
      upstream: { headers() {} },
    });
    await rig.request();
    await rig.advance(3000);
    overload.set(streamIdle, 0.6);
    await rig.advance(999);
    expect(rig.responses()).toEqual([]);
    await rig.advance(1);
    expect(rig.response.status).toBe(504);
    expect(rig.stat('downstream_rq_idle_timeout')).toBe(1);
  });

  test('what a connection has asked to hear of it takes back', async () => {
    const { rig, overload } = rigWith([idle, streamIdle], { manager });
    expect(overload.waiting).toBe(2);
    rig.pair.client.close('now');
    await rig.run();
    expect(overload.waiting).toBe(0);
  });
});

test('without an overload manager nothing is drawn', async () => {
  let draws = 0;
  const random: RandomSource = { random: () => draws++, next: () => 0, uuid: () => 'u' };
  const rig = new ManagerRig({ context: { random } as never });
  await rig.request();
  expect([rig.response.status, draws]).toEqual([200, 0]);
});
