import * as grpc from '@grpc/grpc-js';
import { eventually, TestAuthority } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ECHO_INITIAL,
  ECHO_TRAILING,
  InteropServer,
  TestService,
  UnimplementedService,
} from './support/interop-server.ts';
import { TestProxy } from './support/proxy.ts';
import { downstreamTls, upstreamHttp, upstreamTls } from './support/secure.ts';

const NAME = 'grpc.test';
const MESSAGE_SIZES = [31_415, 9, 2653, 58_979];
const REQUEST_SIZES = [27_182, 8, 1828, 45_904];

/** One authority for both legs. */
const authority = TestAuthority.root();
const leaf = authority.issue({ san: [{ dns: NAME }] });
const pems = { ca: authority.pem, cert: leaf.pem, key: leaf.keyPem, name: NAME };

function startProxy(port: number, tls: boolean): Promise<TestProxy> {
  return TestProxy.start({
    upstream: port,
    upstreamFields: {
      ...upstreamHttp({ http2_protocol_options: {} }),
      ...(tls ? upstreamTls(pems) : {}),
    },
    ...(tls ? { chain: downstreamTls(pems, ['h2']) } : {}),
    manager: { codec_type: 'AUTO' },
    routes: [
      {
        match: { prefix: '/' },
        route: { cluster: 'upstream', max_stream_duration: { grpc_timeout_header_max: '0s' } },
      },
    ],
  });
}

function connect(Client: grpc.ServiceClientConstructor, port: number, tls: boolean): grpc.Client {
  const credentials = tls
    ? grpc.credentials.createSsl(Buffer.from(authority.pem))
    : grpc.credentials.createInsecure();
  return new Client(`127.0.0.1:${port}`, credentials, {
    'grpc.ssl_target_name_override': NAME,
    'grpc.default_authority': NAME,
    'grpc.enable_retries': 0,
  });
}

type AnyClient = grpc.Client & Record<string, (...args: unknown[]) => unknown>;

/** A unary call and all that came of it. */
function unary(client: grpc.Client, method: string, request: object, metadata = new grpc.Metadata()) {
  return new Promise<{
    error: grpc.ServiceError | null;
    response: { payload?: { body: Buffer } } | undefined;
    initial: grpc.Metadata | undefined;
    status: grpc.StatusObject;
  }>((resolve) => {
    let initial: grpc.Metadata | undefined;
    let outcome: { error: grpc.ServiceError | null; response: never } | undefined;
    let status: grpc.StatusObject | undefined;
    const settle = () => {
      if (outcome !== undefined && status !== undefined) resolve({ ...outcome, initial, status });
    };
    const call = (client as AnyClient)[method]?.(
      request,
      metadata,
      (error: grpc.ServiceError, response: never) => {
        outcome = { error, response };
        settle();
      },
    ) as grpc.ClientUnaryCall;
    call.on('metadata', (received) => {
      initial = received;
    });
    call.on('status', (received) => {
      status = received;
      settle();
    });
  });
}

function ended(call: grpc.ClientReadableStream<unknown>): Promise<grpc.StatusObject> {
  return new Promise((resolve) => {
    call.on('error', () => {});
    call.on('status', resolve);
  });
}

const body = (size: number) => ({ type: 0, body: Buffer.alloc(size) });

describe.each([
  { tls: false, proxies: 1 },
  { tls: false, proxies: 2 },
  { tls: true, proxies: 1 },
  { tls: true, proxies: 2 },
])('gRPC interop: tls $tls, $proxies in a row', ({ tls, proxies }) => {
  let server: InteropServer;
  const row: TestProxy[] = [];
  let client: AnyClient;
  let strangers: grpc.Client;

  beforeAll(async () => {
    server = await InteropServer.start(tls ? pems : undefined);
    for (let i = 0, port = server.port; i < proxies; i++) {
      const proxy = await startProxy(port, tls);
      row.push(proxy);
      port = proxy.port;
    }
    const port = row.at(-1)?.port as number;
    client = connect(TestService, port, tls) as AnyClient;
    strangers = connect(UnimplementedService, port, tls);
  }, 30_000);

  afterAll(async () => {
    client?.close();
    strangers?.close();
    for (const proxy of row.toReversed()) {
      await proxy.expectIdle();
      await proxy[Symbol.asyncDispose]();
    }
    await server?.stop();
  });

  test('empty_unary', async () => {
    const { error, response } = await unary(client, 'EmptyCall', {});
    expect([error, response]).toEqual([null, {}]);
  });

  test('large_unary', async () => {
    const request = { response_size: 314_159, payload: body(271_828) };
    const { error, response } = await unary(client, 'UnaryCall', request);
    expect(error).toBeNull();
    expect(response?.payload?.body.equals(Buffer.alloc(314_159))).toBe(true);
  });

  test('client_streaming', async () => {
    const size = await new Promise((resolve, reject) => {
      const call = client['StreamingInputCall']?.(
        (error: Error | null, response: { aggregated_payload_size: number }) =>
          error === null ? resolve(response.aggregated_payload_size) : reject(error),
      ) as grpc.ClientWritableStream<unknown>;
      for (const bytes of REQUEST_SIZES) call.write({ payload: body(bytes) });
      call.end();
    });
    expect(size).toBe(74_922);
  });

  test('server_streaming', async () => {
    const call = client['StreamingOutputCall']?.({
      response_parameters: MESSAGE_SIZES.map((size) => ({ size })),
    }) as grpc.ClientReadableStream<{ payload: { body: Buffer } }>;
    const sizes: number[] = [];
    call.on('data', (message) => sizes.push(message.payload.body.length));
    expect((await ended(call)).code).toBe(grpc.status.OK);
    expect(sizes).toEqual(MESSAGE_SIZES);
  });

  test('ping_pong', async () => {
    const call = client['FullDuplexCall']?.() as grpc.ClientDuplexStream<
      object,
      { payload: { body: Buffer } }
    >;
    const sizes: number[] = [];
    const send = (i: number) =>
      call.write({
        response_parameters: [{ size: MESSAGE_SIZES[i] }],
        payload: body(REQUEST_SIZES[i] as number),
      });
    call.on('data', (message) => {
      sizes.push(message.payload.body.length);
      if (sizes.length < MESSAGE_SIZES.length) send(sizes.length);
      else call.end();
    });
    send(0);
    expect((await ended(call)).code).toBe(grpc.status.OK);
    expect(sizes).toEqual(MESSAGE_SIZES);
  });

  test('empty_stream', async () => {
    const call = client['FullDuplexCall']?.() as grpc.ClientDuplexStream<object, object>;
    let messages = 0;
    call.on('data', () => messages++);
    call.end();
    expect((await ended(call)).code).toBe(grpc.status.OK);
    expect(messages).toBe(0);
  });

  test('custom_metadata', async () => {
    const metadata = new grpc.Metadata();
    metadata.set(ECHO_INITIAL, 'test_initial_metadata_value');
    metadata.set(ECHO_TRAILING, Buffer.from([0xab, 0xab, 0xab]));
    const { error, initial, status } = await unary(
      client,
      'UnaryCall',
      { response_size: 314_159, payload: body(271_828) },
      metadata,
    );
    expect(error).toBeNull();
    expect(initial?.get(ECHO_INITIAL)).toEqual(['test_initial_metadata_value']);
    expect(status.metadata.get(ECHO_TRAILING)).toEqual([Buffer.from([0xab, 0xab, 0xab])]);

    const call = client['FullDuplexCall']?.(metadata) as grpc.ClientDuplexStream<object, object>;
    const received = new Promise<grpc.Metadata>((resolve) => call.on('metadata', resolve));
    call.on('data', () => call.end());
    call.write({ response_parameters: [{ size: 314_159 }], payload: body(271_828) });
    expect((await received).get(ECHO_INITIAL)).toEqual(['test_initial_metadata_value']);
    expect((await ended(call)).metadata.get(ECHO_TRAILING)).toEqual([Buffer.from([0xab, 0xab, 0xab])]);
  });

  test('status_code_and_message', async () => {
    const response_status = { code: 2, message: 'test status message' };
    const { status } = await unary(client, 'UnaryCall', { response_status });
    expect([status.code, status.details]).toEqual([2, 'test status message']);

    const call = client['FullDuplexCall']?.() as grpc.ClientDuplexStream<object, object>;
    const end = ended(call);
    call.on('data', () => {});
    call.write({ response_status });
    call.end();
    const { code, details } = await end;
    expect([code, details]).toEqual([2, 'test status message']);
  });

  test('special_status_message', async () => {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const { status } = await unary(client, 'UnaryCall', { response_status: { code: 2, message } });
    expect([status.code, status.details]).toEqual([2, message]);
  });

  test('unimplemented_method', async () => {
    const { status } = await unary(client, 'UnimplementedCall', {});
    expect(status.code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('unimplemented_service', async () => {
    const { status } = await unary(strangers, 'UnimplementedCall', {});
    expect(status.code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('cancel_after_begin', async () => {
    const before = server.seen.cancelled;
    const call = client['StreamingInputCall']?.(() => {}) as grpc.ClientWritableStream<object>;
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    call.write({ payload: body(1) });
    // Else there may be nothing to cancel yet.
    await eventually(() => {
      const [last] = row;
      expect(last?.stat('cluster.upstream.upstream_rq_active')).toBeGreaterThan(0);
    });
    call.cancel();
    expect((await status).code).toBe(grpc.status.CANCELLED);
    await eventually(() => expect(server.seen.cancelled).toBe(before + 1));
  });

  test('cancel_after_first_response', async () => {
    const before = server.seen.cancelled;
    const call = client['FullDuplexCall']?.() as grpc.ClientDuplexStream<object, object>;
    const end = ended(call);
    call.on('data', () => call.cancel());
    call.write({ response_parameters: [{ size: 31_415 }], payload: body(27_182) });
    expect((await end).code).toBe(grpc.status.CANCELLED);
    await eventually(() => expect(server.seen.cancelled).toBe(before + 1));
  });

  test('timeout_on_sleeping_server', async () => {
    const call = client['FullDuplexCall']?.(new grpc.Metadata(), {
      deadline: Date.now() + 100,
    }) as grpc.ClientDuplexStream<object, object>;
    const end = ended(call);
    call.on('data', () => {});
    call.write({ payload: body(27_182) });
    expect((await end).code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });
});
