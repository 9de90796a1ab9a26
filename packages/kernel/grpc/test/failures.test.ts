import { gzipSync } from 'node:zlib';
import { Authorization, CheckRequestSchema, CheckResponseSchema, create, toBinary } from '@dragoman/api';
import { describeGrpcStatus, type PoolFailureReason, type StreamResetReason } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import type { MemoryStream } from './support/memory-pool.ts';
import { Rig, UnaryRecorder } from './support/rig.ts';

const { check } = Authorization.method;
const request = create(CheckRequestSchema);
const OK = toBinary(CheckResponseSchema, create(CheckResponseSchema, { status: { code: 7 } }));

function fail(play: (stream: MemoryStream, rig: Rig) => void, config: object = {}) {
  const rig = new Rig(config);
  rig.pool.ready = false;
  const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
  rig.client.unary(check, request, undefined, recorder);
  play(rig.upstream, rig);
  const status = recorder.failure;
  return { rig, recorder, status, seen: [status.code, status.message, status.details] };
}

/** As {@link fail}, once the request is out. */
function failAnswer(play: (stream: MemoryStream, rig: Rig) => void, config: object = {}) {
  return fail((stream, rig) => {
    stream.connect();
    play(stream, rig);
  }, config);
}

describe('without a host', () => {
  it('is UNAVAILABLE when there is no cluster', () => {
    const rig = new Rig();
    rig.clusters.byName.clear();
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    const call = rig.client.unary(check, request, undefined, recorder);
    expect(describeGrpcStatus(recorder.failure)).toBe('Cluster not available{cluster_not_found}');
    expect(recorder.failure.code).toBe(14);
    expect(call.cluster).toBeUndefined();
    expect(recorder.headers).toBeUndefined();
    expect(recorder.trailers).toBeUndefined();
  });

  it('is UNAVAILABLE when no host is well', () => {
    const rig = new Rig();
    rig.cluster.hosts.length = 0;
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    expect(describeGrpcStatus(recorder.failure)).toBe('no healthy upstream{no_healthy_upstream}');
    expect(recorder.failure.code).toBe(14);
    expect(rig.counted).toMatchObject({ upstream_rq_503: 1, 'internal.upstream_rq_503': 1 });
  });

  it('is UNAVAILABLE in maintenance', () => {
    const rig = new Rig();
    rig.cluster.info.maintenanceMode = true;
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    expect(describeGrpcStatus(recorder.failure)).toBe('maintenance mode{maintenance_mode}');
    expect(rig.counted).toMatchObject({ upstream_rq_maintenance_mode: 1, upstream_rq_503: 1, dropped: 1 });
    expect(rig.pool.streams).toEqual([]);
  });
});

describe('a pool that fails', () => {
  const prefix = 'upstream connect error or disconnect/reset before headers. reset reason: ';
  const table: [PoolFailureReason, string, string, string][] = [
    ['overflow', '', 'overflow', '{overflow}'],
    ['timeout', 'whatever', 'connection timeout', '{connection_timeout}'],
    ['remote-connection-failure', '', 'remote connection failure', '{remote_connection_failure}'],
    [
      'remote-connection-failure',
      'Connection refused',
      'remote connection failure, transport failure reason: delayed connect error: Connection refused',
      '{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    ],
    [
      'local-connection-failure',
      'pool closed',
      'local connection failure, transport failure reason: pool closed',
      '{local_connection_failure|pool_closed}',
    ],
  ];
  it.each(table)('%s %s', (reason, details, message, braces) => {
    const { seen, rig } = fail((stream) => stream.fail(reason, details));
    expect(seen).toEqual([14, prefix + message, `upstream_reset_before_response_started${braces}`]);
    expect(rig.counted).toMatchObject({ upstream_rq_503: 1 });
    const blamed = reason !== 'overflow';
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(blamed ? 1 : 0);
    expect(rig.cluster.info.requestsDropped.value()).toBe(blamed ? 0 : 1);
    expect(rig.cluster.info.charged).toEqual([blamed ? rig.cluster.hosts[0] : undefined]);
  });
});

describe('a stream that is reset', () => {
  const table: [StreamResetReason, string, number][] = [
    ['local-reset', 'local reset', 503],
    ['remote-reset', 'remote reset', 503],
    ['connection-failure', 'remote connection failure', 503],
    ['connection-timeout', 'connection timeout', 503],
    ['connection-termination', 'connection termination', 503],
    ['overflow', 'overflow', 503],
    ['protocol-error', 'protocol error', 502],
    ['overload', 'overload manager reset', 503],
    ['max-requests', 'remote refused stream reset', 503],
  ];

  it.each(table)('%s before the answer', (reason, text, http) => {
    const { seen, rig } = failAnswer((stream) => stream.lose(reason));
    expect(seen).toEqual([
      14,
      `upstream connect error or disconnect/reset before headers. reset reason: ${text}`,
      `upstream_reset_before_response_started{${text.replaceAll(' ', '_')}}`,
    ]);
    expect(rig.counted).toMatchObject({ upstream_rq_rx_reset: 1, [`upstream_rq_${http}`]: 1 });
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
    expect(rig.upstream.resetReason).toBeUndefined();
  });

  it.each(table)('%s within the answer', (reason, text) => {
    const { seen, rig } = failAnswer((stream) => {
      stream.respond();
      stream.message(OK);
      stream.lose(reason);
    });
    expect(seen).toEqual([13, '', `upstream_reset_after_response_started{${text.replaceAll(' ', '_')}}`]);
    expect(rig.counted).toMatchObject({ upstream_rq_rx_reset: 1, upstream_rq_200: 1 });
    expect(rig.context.stats.value('http.async-client.rq_reset_after_downstream_response_started')).toBe(1);
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
    expect(rig.cluster.hosts[0].stats.rqSuccess.value()).toBe(0);
  });

  it('has what a codec found wrong in its details, and not how a connection ended', () => {
    expect(failAnswer((stream) => stream.lose('protocol-error', 'http2.violation')).status.details).toBe(
      'upstream_reset_before_response_started{protocol_error|http2.violation}',
    );
    expect(failAnswer((stream) => stream.lose('connection-termination', 'ECONNRESET')).status.details).toBe(
      'upstream_reset_before_response_started{connection_termination}',
    );
  });
});

describe('an HTTP status', () => {
  const table: [number, number][] = [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [500, 2],
    [502, 14],
    [503, 14],
    [504, 14],
    [204, 2],
    [302, 2],
    [418, 2],
  ];
  it.each(table)('%i is %i without a grpc-status', (http, code) => {
    const alone = failAnswer((stream) => stream.respond({}, http, true));
    expect(alone.seen).toEqual([code, `HTTP status ${http}`, 'via_upstream']);
    expect(alone.rig.upstream.resetReason).toBeUndefined();
    const withBody = failAnswer((stream) => stream.respond({ 'grpc-status': '5' }, http));
    expect(withBody.seen).toEqual([code, `HTTP status ${http}`, 'via_upstream']);
    expect(withBody.rig.upstream.resetReason).toBe('local-reset');
    expect(withBody.rig.counted).toMatchObject({ [`upstream_rq_${http}`]: 1 });
  });

  it('yields to the grpc-status of an answer without a body', () => {
    const { seen } = failAnswer((stream) =>
      stream.respond({ 'grpc-status': '5', 'grpc-message': 'gone' }, 404, true),
    );
    expect(seen).toEqual([5, 'gone', 'via_upstream']);
  });

  it('makes a host answer for 5xx only', () => {
    const bad = failAnswer((stream) => stream.respond({ 'grpc-status': '7' }, 503, true));
    expect(bad.rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
    const good = failAnswer((stream) => stream.respond({ 'grpc-status': '7' }, 200, true));
    expect(good.rig.cluster.hosts[0].stats.rqSuccess.value()).toBe(1);
  });
});

describe('trailers', () => {
  it.each([
    ['7', 'denied', 7, 'denied'],
    ['7', 'a%20b%C3%A9%zz', 7, 'a bé%zz'],
    ['16', '', 16, ''],
    ['17', 'x', 2, 'x'],
    ['99999999999', '', 2, 'invalid grpc-status'],
    ['-1', '', 2, 'invalid grpc-status'],
    ['1e1', '', 2, 'invalid grpc-status'],
    ['', '', 2, 'no grpc-status'],
  ])('grpc-status "%s", grpc-message "%s"', (status, message, code, text) => {
    const fields = { 'grpc-status': status, ...(message === '' ? {} : { 'grpc-message': message }) };
    for (const trailersOnly of [true, false]) {
      const { seen, recorder } = failAnswer((stream) => {
        if (trailersOnly) stream.respond(fields, 200, true);
        else {
          stream.respond();
          stream.message(OK);
          stream.endWith(fields);
        }
      });
      expect(seen).toEqual([code, text, 'via_upstream']);
      expect(recorder.trailers?.get('grpc-status')).toBe(status);
    }
  });

  it('may hold details in base64', () => {
    const bytes = Buffer.from([8, 7, 18, 2, 104, 105]);
    for (const text of [bytes.toString('base64'), bytes.toString('base64').replace(/=+$/, '')]) {
      const { status } = failAnswer((stream) => stream.end(7, { 'grpc-status-details-bin': text }));
      expect(Buffer.from(status.statusDetails ?? [])).toEqual(bytes);
    }
    expect(failAnswer((stream) => stream.end(7)).status.statusDetails).toBeUndefined();
  });

  it('are what an answer needs', () => {
    const { seen, rig } = failAnswer((stream) => {
      stream.respond();
      stream.bytes(Buffer.concat([Buffer.from([0, 0, 0, 0, OK.length]), OK]), true);
    });
    expect(seen).toEqual([2, 'the answer has no trailers', 'via_upstream']);
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
  });

  it.each([0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 16])('do not blame the host for %i', (code) => {
    const rig = new Rig();
    rig.client.unary(check, request, undefined, new UnaryRecorder<typeof CheckResponseSchema>());
    rig.upstream.respond();
    rig.upstream.end(code);
    expect(rig.cluster.hosts[0].stats.rqSuccess.value()).toBe(1);
  });

  it.each([2, 4, 12, 13, 14, 15])('blame the host for %i', (code) => {
    const { rig } = failAnswer((stream) => {
      stream.respond();
      stream.end(code);
    });
    expect(rig.cluster.hosts[0].stats.rqError.value()).toBe(1);
  });
});

describe('messages', () => {
  it('are needed for an OK', () => {
    const after = failAnswer((stream) => {
      stream.respond();
      stream.end();
    });
    expect(after.seen).toEqual([13, 'the answer has no message', 'grpc_no_message']);
    const only = failAnswer((stream) => stream.respond({ 'grpc-status': '0' }, 200, true));
    expect(only.seen).toEqual([13, 'the answer has no message', 'grpc_no_message']);
  });

  it('must be of their type', () => {
    const { status } = failAnswer((stream) => stream.answer(Buffer.from([0x0a, 0xff])));
    expect(status).toMatchObject({ code: 13, details: 'grpc_decode_error' });
  });

  it('may not nest without end', () => {
    let nested: Buffer = Buffer.alloc(0);
    // CheckResponse.dynamic_metadata is a Struct: fields (1) → value (2) → struct_value (5).
    for (let i = 0; i < 5000; i++) {
      for (const tag of [0x2a, 0x12, 0x0a])
        nested = Buffer.concat([Buffer.from([tag]), varint(nested.length), nested]);
    }
    nested = Buffer.concat([Buffer.from([0x22]), varint(nested.length), nested]);
    const { status } = failAnswer((stream) => stream.answer(nested));
    expect(status).toMatchObject({ code: 13, details: 'grpc_decode_error' });
  });

  it('may not be longer than max_receive_message_length', () => {
    const { seen, rig } = failAnswer(
      (stream) => {
        stream.respond();
        stream.bytes(Buffer.from([0, 0, 0, 0, 11]));
      },
      { envoy_grpc: { cluster_name: 'authz', max_receive_message_length: 10 } },
    );
    expect(seen).toEqual([8, 'a message of 11 bytes: the limit is 10', 'grpc_message_too_large']);
    expect(rig.upstream.resetReason).toBe('local-reset');
  });

  it('have a limit even without one in the config', () => {
    const { seen } = failAnswer((stream) => {
      stream.respond();
      stream.bytes(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    });
    expect(seen[0]).toBe(8);
    expect(seen[2]).toBe('grpc_message_too_large');
  });

  it.each([0x02, 0x80, 0xff])('may not have flags 0x%s', (flags) => {
    const { status } = failAnswer((stream) => {
      stream.respond();
      stream.message(OK, flags);
    });
    expect(status).toMatchObject({ code: 13, details: 'grpc_frame_error' });
  });

  it('that are none of gRPC are refused as such', () => {
    const { status } = failAnswer((stream) => {
      stream.respond();
      stream.bytes(Buffer.from('<html>'));
    });
    expect(status).toMatchObject({ code: 13, details: 'grpc_frame_error' });
  });
});

describe('a compressed message', () => {
  const compressed = (stream: MemoryStream, packed: Uint8Array, encoding: string | undefined) => {
    stream.respond(encoding === undefined ? {} : { 'grpc-encoding': encoding });
    stream.message(packed, 1);
    stream.end();
  };

  it('is unpacked', () => {
    const rig = new Rig();
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    compressed(rig.upstream, gzipSync(OK), 'gzip');
    expect(recorder.responses[0].status?.code).toBe(7);
  });

  it('may stand beside one that is not', () => {
    const rig = new Rig();
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    rig.upstream.answer(OK, { 'grpc-encoding': 'gzip' });
    expect(recorder.responses).toHaveLength(1);
  });

  it.each([
    [undefined, 'a compressed message without grpc-encoding'],
    ['identity', 'a compressed message without grpc-encoding'],
    ['deflate', 'a compressed message in an encoding that was not offered'],
    ['snappy', 'a compressed message in an encoding that was not offered'],
  ])('needs grpc-encoding: gzip, not %s', (encoding, message) => {
    const { seen } = failAnswer((stream) => compressed(stream, gzipSync(OK), encoding));
    expect(seen).toEqual([13, message, 'grpc_unknown_encoding']);
  });

  it.each([Buffer.from('no gzip'), gzipSync(OK).subarray(0, 12), Buffer.from([0x1f, 0x8b])])(
    'must be gzip (%#)',
    (packed) => {
      const { seen } = failAnswer((stream) => compressed(stream, packed, 'gzip'));
      expect(seen).toEqual([13, 'a message is no gzip', 'grpc_decompression_error']);
    },
  );

  it('may not come to more than the limit of a message', () => {
    const { status } = failAnswer(
      (stream) => compressed(stream, gzipSync(Buffer.alloc(2000, 'ab')), 'gzip'),
      {
        envoy_grpc: { cluster_name: 'authz', max_receive_message_length: 1999 },
      },
    );
    expect(status).toMatchObject({ code: 8, details: 'grpc_message_too_large' });
  });

  it('may not come to a hundred times of itself', () => {
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(40_000);
    const { status } = failAnswer((stream) => compressed(stream, bomb, 'gzip'));
    expect(status).toMatchObject({ code: 8, details: 'grpc_message_too_large' });
  });

  it('may be empty, and is no gzip then', () => {
    const rig = new Rig();
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(check, request, undefined, recorder);
    compressed(rig.upstream, Buffer.alloc(0), 'gzip');
    expect(recorder.responses).toHaveLength(1);
  });
});

it('does not throw when the caller’s message is none', () => {
  const rig = new Rig();
  const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
  const broken = { ...request, attributes: { $typeName: 'x' } } as unknown as typeof request;
  rig.client.unary(check, broken, undefined, recorder);
  expect(recorder.failure).toMatchObject({ code: 13, details: 'grpc_encode_error' });
  expect(rig.pool.streams).toEqual([]);
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left & 0x7f) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}
