import {
  AccessLogService,
  AggregatedDiscoveryService,
  create,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  fromBinary,
  StreamAccessLogsMessageSchema,
  type StreamAccessLogsResponseSchema,
  toBinary,
} from '@dragoman/api';
import type { GrpcStreamOptions } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { Rig, StreamRecorder } from './support/rig.ts';

const { streamAggregatedResources } = AggregatedDiscoveryService.method;

function asked(versionInfo: string): DiscoveryRequest {
  return create(DiscoveryRequestSchema, { versionInfo });
}

function told(versionInfo: string): Uint8Array {
  return toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { versionInfo }));
}

function open(options?: GrpcStreamOptions, prepare?: (rig: Rig) => void) {
  const rig = new Rig();
  prepare?.(rig);
  const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
  const stream = rig.client.stream(streamAggregatedResources, options, recorder);
  return { rig, recorder, stream };
}

const versions = (messages: readonly { versionInfo: string }[]) =>
  messages.map(({ versionInfo }) => versionInfo);
const received = (rig: Rig) =>
  versions(rig.upstream.messages.map((message) => fromBinary(DiscoveryRequestSchema, message)));

describe('a stream in both directions', () => {
  it('sends and receives in any order', () => {
    const { rig, recorder, stream } = open();
    expect(rig.upstream.requestHeaders?.path).toBe(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
    );
    expect(rig.upstream.chunks).toEqual([]);
    expect(stream.send(asked('1'))).toBe(true);
    rig.upstream.respond();
    rig.upstream.message(told('a'));
    expect(stream.send(asked('2'))).toBe(true);
    rig.upstream.message(told('b'));
    expect(received(rig)).toEqual(['1', '2']);
    expect(versions(recorder.messages)).toEqual(['a', 'b']);
    stream.closeSend();
    expect(rig.upstream.ended).toBe(true);
    rig.upstream.message(told('c'));
    rig.upstream.end(0, { 'x-a': 'b' });
    expect(recorder.events).toEqual(['headers', 'message', 'message', 'message', 'end 0']);
    expect(recorder.trailers?.get('x-a')).toBe('b');
    expect(rig.upstream.resetReason).toBeUndefined();
    expect(rig.counted['upstream_rq_tx_reset']).toBeUndefined();
  });

  it('is typed by its method', () => {
    const rig = new Rig();
    const stream = rig.client.stream(streamAggregatedResources, undefined, {
      onMessage(message: DiscoveryResponse) {
        expect(message.versionInfo).toBe('a');
      },
      onEnd() {},
    });
    const message: DiscoveryRequest = asked('1');
    stream.send(message);
    rig.upstream.respond();
    rig.upstream.message(told('a'));
    expect.assertions(1);
  });

  it('sends what was given before there was a connection', () => {
    const { rig, stream } = open(undefined, ({ pool }) => {
      pool.ready = false;
    });
    stream.send(asked('1'));
    stream.send(asked('2'));
    stream.closeSend();
    expect(stream.bufferedBytes).toBeGreaterThan(0);
    rig.upstream.connect();
    expect(received(rig)).toEqual(['1', '2']);
    expect(rig.upstream.ended).toBe(true);
    expect(rig.upstream.chunks).toHaveLength(2);
    expect(stream.bufferedBytes).toBe(0);
  });

  it('may end without a message', () => {
    const { rig, stream } = open();
    stream.closeSend();
    stream.closeSend();
    expect(rig.upstream.ended).toBe(true);
    expect(rig.upstream.messages).toEqual([]);
  });

  it('ends with the upstream’s end, whatever was to come', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    rig.upstream.end(7, { 'grpc-message': 'enough' });
    expect(recorder.end).toMatchObject({ code: 7, message: 'enough' });
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(rig.counted['upstream_rq_tx_reset']).toBe(1);
    expect(stream.send(asked('1'))).toBe(false);
    expect(stream.writable).toBe(false);
    stream.closeSend();
    stream.pause();
    stream.resume();
    stream.cancel();
    expect(rig.upstream.chunks).toEqual([]);
    expect(recorder.events).toEqual(['headers', 'end 7']);
  });

  it('ends before it was returned', () => {
    const { recorder, stream } = open(undefined, ({ pool }) => {
      pool.onRequestHeaders = (upstream) => upstream.respond({ 'grpc-status': '12' }, 200, true);
    });
    expect(recorder.events).toEqual(['end 12']);
    expect(stream.send(asked('1'))).toBe(false);
  });

  it('does nothing after cancel', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    stream.cancel();
    expect(rig.upstream.resetReason).toBe('local-reset');
    rig.upstream.message(told('a'));
    rig.upstream.end();
    rig.upstream.drain();
    rig.upstream.lose();
    expect(recorder.events).toEqual(['headers']);
    expect(stream.send(asked('1'))).toBe(false);
  });

  it('may be cancelled by any of its callbacks', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    recorder.onNext = () => stream.cancel();
    const two = Buffer.concat([told('a'), told('b')].map((message) => frame(message)));
    rig.upstream.bytes(two);
    expect(versions(recorder.messages)).toEqual(['a']);
    rig.upstream.end();
    expect(recorder.ends).toEqual([]);
  });

  it('ends with INTERNAL when a callback throws', () => {
    for (const event of ['onHeaders', 'onMessage', 'onWritable'] as const) {
      const rig = new Rig();
      const ends: number[] = [];
      const stream = rig.client.stream(
        streamAggregatedResources,
        {},
        {
          onMessage() {},
          [event]() {
            throw new Error('oops');
          },
          onEnd: ({ code, details }) => {
            expect(details).toBe('grpc_callback_error');
            ends.push(code);
          },
        },
      );
      rig.upstream.full = true;
      stream.send(asked('1'));
      rig.upstream.drain();
      rig.upstream.respond();
      rig.upstream.message(told('a'));
      expect(ends).toEqual([13]);
      expect(rig.upstream.resetReason).toBe('local-reset');
      expect(rig.context.loggers.lines.join()).toContain('threw: Error: oops');
    }
  });

  it('survives an end that throws', () => {
    const rig = new Rig();
    rig.client.stream(
      streamAggregatedResources,
      {},
      {
        onMessage() {},
        onEnd() {
          throw new Error('oops');
        },
      },
    );
    rig.upstream.respond({ 'grpc-status': '0' }, 200, true);
    expect(rig.context.loggers.lines).toHaveLength(1);
  });

  it('ends with a message that is none', () => {
    const { rig, recorder } = open();
    rig.upstream.respond();
    rig.upstream.message(Buffer.from([0x0a, 0xff]));
    rig.upstream.message(told('a'));
    expect(recorder.events).toEqual(['headers', 'end 13']);
    expect(recorder.end.details).toBe('grpc_decode_error');
  });

  it('ends when its own message is none', () => {
    const { rig, recorder, stream } = open();
    const broken = { ...asked('1'), node: { $typeName: 'x' } } as unknown as DiscoveryRequest;
    expect(stream.send(broken)).toBe(false);
    expect(recorder.end).toMatchObject({ code: 13, details: 'grpc_encode_error' });
    expect(rig.upstream.resetReason).toBe('local-reset');
  });
});

describe('a stream of the client’s', () => {
  it('is answered once', () => {
    const rig = new Rig();
    const recorder = new StreamRecorder<typeof StreamAccessLogsResponseSchema>();
    const stream = rig.client.stream(AccessLogService.method.streamAccessLogs, undefined, recorder);
    for (let i = 0; i < 3; i++) stream.send(create(StreamAccessLogsMessageSchema));
    stream.closeSend();
    rig.upstream.respond();
    rig.upstream.message(Buffer.alloc(0));
    rig.upstream.end();
    expect(rig.upstream.messages).toHaveLength(3);
    expect(recorder.events).toEqual(['headers', 'message', 'end 0']);
  });
});

describe('a connection that is full', () => {
  it('stops the sender, and tells when to go on', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.full = true;
    expect(stream.send(asked('1'))).toBe(false);
    expect(stream.writable).toBe(false);
    // Too late: it waits.
    expect(stream.send(asked('2'))).toBe(false);
    expect(received(rig)).toEqual(['1']);
    rig.upstream.drain();
    expect(received(rig)).toEqual(['1', '2']);
    expect(recorder.events).toEqual(['writable']);
    expect(stream.writable).toBe(true);
    expect(stream.send(asked('3'))).toBe(true);
    expect(rig.counted).toMatchObject({
      upstream_flow_control_backed_up_total: 1,
      upstream_flow_control_drained_total: 1,
    });
  });

  it('says so no more than once', () => {
    const { rig, recorder } = open();
    rig.upstream.drain();
    rig.upstream.decoder.onWritable();
    expect(recorder.events).toEqual([]);
  });

  it('may fill up again while it drains', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.full = true;
    for (const version of ['1', '2', '3']) stream.send(asked(version));
    // The connection takes one more, no further.
    rig.upstream.decoder.onWritable();
    expect(received(rig)).toEqual(['1', '2']);
    expect(recorder.events).toEqual([]);
    rig.upstream.drain();
    expect(received(rig)).toEqual(['1', '2', '3']);
    expect(recorder.events).toEqual(['writable']);
  });

  it('takes the end with the last message', () => {
    const { rig, stream } = open();
    rig.upstream.full = true;
    stream.send(asked('1'));
    stream.send(asked('2'));
    stream.closeSend();
    expect(rig.upstream.ended).toBe(false);
    rig.upstream.drain();
    expect(rig.upstream.ended).toBe(true);
    expect(rig.upstream.chunks).toHaveLength(2);
  });

  it('holds a sender that does not stop to a limit', () => {
    const { rig, recorder, stream } = open({ bufferLimitBytes: 100 });
    rig.upstream.full = true;
    let sent = 0;
    while (recorder.ends.length === 0 && sent < 100) {
      stream.send(asked('a'.repeat(20)));
      sent++;
    }
    // One is on its way, four are above the limit.
    expect(sent).toBe(6);
    expect(recorder.end).toMatchObject({ code: 8, details: 'grpc_send_buffer_overflow' });
    expect(rig.upstream.resetReason).toBe('local-reset');
    expect(stream.bufferedBytes).toBe(0);
  });

  it('has a limit while there is no connection', () => {
    const { rig, recorder, stream } = open({ bufferLimitBytes: 100 }, ({ pool }) => {
      pool.ready = false;
    });
    const answers = Array.from({ length: 4 }, () => stream.send(asked('a'.repeat(20))));
    expect(answers).toEqual([true, true, true, false]);
    rig.upstream.connect();
    expect(recorder.events).toEqual(['writable']);
  });

  it('has the limit of the cluster, the service or the stream', () => {
    const limits = (config: object, options: GrpcStreamOptions, clusterLimit: number) => {
      const rig = new Rig(config, { targets: { clusterFor: () => 'authz' } });
      rig.cluster.info.perConnectionBufferLimitBytes = clusterLimit;
      rig.pool.ready = false;
      const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
      const stream = rig.client.stream(streamAggregatedResources, options, recorder);
      let bytes = 0;
      while (stream.send(asked('a'.repeat(90)))) bytes += 97;
      return bytes;
    };
    const google = { google_grpc: { target_uri: 'a', stat_prefix: 'a', per_stream_buffer_limit_bytes: 500 } };
    expect(limits({}, {}, 1000)).toBeLessThan(1000);
    expect(limits({}, {}, 1000)).toBeGreaterThan(800);
    expect(limits(google, {}, 1000)).toBeLessThan(500);
    expect(limits(google, { bufferLimitBytes: 200 }, 1000)).toBeLessThan(200);
  });
});

describe('a reader who pauses', () => {
  it('gets no message, and stops the connection', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    stream.pause();
    stream.pause();
    expect(rig.upstream.paused).toBe(true);
    rig.upstream.message(told('a'));
    expect(recorder.messages).toEqual([]);
    stream.resume();
    stream.resume();
    expect(rig.upstream.pauses).toEqual([true, false]);
    expect(versions(recorder.messages)).toEqual(['a']);
    expect(rig.counted).toMatchObject({
      upstream_flow_control_paused_reading_total: 1,
      upstream_flow_control_resumed_reading_total: 1,
    });
  });

  it('may do so between two messages of one chunk', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    recorder.onNext = () => stream.pause();
    rig.upstream.bytes(Buffer.concat([frame(told('a')), frame(told('b')), frame(told('c')).subarray(0, 6)]));
    expect(versions(recorder.messages)).toEqual(['a']);
    expect(rig.upstream.paused).toBe(true);
    // What was in flight.
    rig.upstream.bytes(frame(told('c')).subarray(6));
    expect(versions(recorder.messages)).toEqual(['a']);
    recorder.onNext = () => stream.pause();
    stream.resume();
    expect(versions(recorder.messages)).toEqual(['a', 'b']);
    expect(rig.upstream.pauses).toEqual([true]);
    stream.resume();
    expect(versions(recorder.messages)).toEqual(['a', 'b', 'c']);
    expect(rig.upstream.pauses).toEqual([true, false]);
  });

  it('may go on at once', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    recorder.onNext = () => {
      stream.pause();
      stream.resume();
    };
    rig.upstream.bytes(Buffer.concat([frame(told('a')), frame(told('b'))]));
    expect(versions(recorder.messages)).toEqual(['a', 'b']);
    expect(rig.upstream.pauses).toEqual([]);
  });

  it('may do so before there is an answer, or within its headers', () => {
    for (const early of [true, false]) {
      const rig = new Rig();
      const recorder = new StreamRecorder<typeof DiscoveryResponseSchema>();
      const { onHeaders } = recorder;
      const stream = rig.client.stream(streamAggregatedResources, undefined, recorder);
      if (early) stream.pause();
      else
        recorder.onHeaders = () => {
          onHeaders.call(recorder);
          stream.pause();
        };
      rig.upstream.respond();
      expect(rig.upstream.paused).toBe(true);
      rig.upstream.message(told('a'));
      expect(recorder.events).toEqual(['headers']);
      stream.resume();
      expect(recorder.events).toEqual(['headers', 'message']);
      expect(rig.upstream.paused).toBe(false);
    }
  });

  it('gets the end behind the messages', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    stream.pause();
    rig.upstream.message(told('a'));
    rig.upstream.message(told('b'));
    rig.upstream.end(7);
    expect(recorder.events).toEqual(['headers']);
    // The upstream is through: nothing can be sent any more.
    expect(stream.send(asked('1'))).toBe(false);
    recorder.onNext = () => stream.pause();
    stream.resume();
    expect(recorder.events).toEqual(['headers', 'message']);
    stream.resume();
    expect(recorder.events).toEqual(['headers', 'message', 'message', 'end 7']);
    expect(rig.upstream.pauses).toEqual([true]);
  });

  it('gets a reset at once', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    stream.pause();
    rig.upstream.message(told('a'));
    rig.upstream.lose();
    expect(recorder.events).toEqual(['headers', 'end 13']);
    stream.resume();
    expect(recorder.events).toEqual(['headers', 'end 13']);
  });

  it('may cancel', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    stream.pause();
    rig.upstream.message(told('a'));
    stream.cancel();
    stream.resume();
    expect(recorder.events).toEqual(['headers']);
    expect(rig.upstream.pauses).toEqual([true]);
  });
});

describe('an answer that comes while a message is handed over', () => {
  it('is handed over behind it', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    recorder.onNext = () => {
      rig.upstream.message(told('b'));
      rig.upstream.message(told('c'));
      recorder.onNext = () => stream.pause();
    };
    rig.upstream.message(told('a'));
    expect(versions(recorder.messages)).toEqual(['a', 'b']);
    rig.upstream.message(told('d'));
    stream.resume();
    expect(versions(recorder.messages)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('may hold several messages, and be stopped between them', () => {
    const { rig, recorder, stream } = open();
    rig.upstream.respond();
    recorder.onNext = () => {
      rig.upstream.bytes(Buffer.concat([frame(told('b')), frame(told('c'))]));
      recorder.onNext = () => stream.pause();
    };
    rig.upstream.message(told('a'));
    expect(versions(recorder.messages)).toEqual(['a', 'b']);
    stream.resume();
    expect(versions(recorder.messages)).toEqual(['a', 'b', 'c']);
  });

  it('may be the end', () => {
    const { rig, recorder } = open();
    rig.upstream.respond();
    recorder.onNext = () => {
      rig.upstream.message(told('b'));
      rig.upstream.end();
    };
    rig.upstream.message(told('a'));
    expect(recorder.events).toEqual(['headers', 'message', 'message', 'end 0']);
  });
});

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
