import { FrameFlag, frames, FrameType, Http2Code, Http2Setting } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { responseOf, ServerRig, type ServerRigOptions, trailersOf } from './server-rig.ts';

const FLUSH_MS = 10_000;

describe('a client that leaves a complete response waiting for its window', () => {
  const waiting = async (options: ServerRigOptions = {}): Promise<ServerRig> => {
    const rig = new ServerRig({
      settings: { [Http2Setting.initialWindowSize]: 0 },
      onRequest: (exchange) => exchange.respond(200, { 'content-length': '5' }, 'hello'),
      ...options,
      options: { streamFlushTimeoutMs: FLUSH_MS, ...options.options },
    });
    rig.client.request(1);
    return await rig.settle();
  };

  it('has stream_flush_timeout, then its stream is reset', async () => {
    const rig = await waiting();
    await rig.advance(FLUSH_MS - 1);
    expect(rig.client.response(1).reset).toBeUndefined();
    await rig.advance(1);
    expect(rig.client.response(1)).toMatchObject({ reset: Http2Code.internalError, ended: false });
    expect([rig.stat('tx_flush_timeout'), rig.stat('tx_reset'), rig.stat('rx_reset')]).toEqual([1, 1, 0]);
    expect(rig.clock.pendingTimers).toBe(0);
    // The handler had been done with it.
    expect(rig.exchange.events).toEqual(['headers!']);
  });

  it('each stream has its own time', async () => {
    const rig = await waiting();
    await rig.advance(4000);
    rig.client.request(3);
    await rig.settle();
    await rig.advance(6000);
    expect([1, 3].map((id) => rig.client.response(id).reset)).toEqual([Http2Code.internalError, undefined]);
    await rig.advance(4000);
    expect(rig.client.response(3).reset).toBe(Http2Code.internalError);
    expect(rig.stat('tx_flush_timeout')).toBe(2);
  });

  it('and takes it in time: nothing happens', async () => {
    const rig = await waiting();
    await rig.advance(FLUSH_MS - 1);
    await rig.send(frames.windowUpdate(1, 5));
    expect(rig.client.response(1)).toMatchObject({ ended: true });
    await rig.advance(FLUSH_MS);
    expect(rig.stat('tx_flush_timeout')).toBe(0);
    expect(rig.client.framesOf(FrameType.rstStream)).toEqual([]);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  it('0: it may take forever', async () => {
    const rig = await waiting({ options: { streamFlushTimeoutMs: 0 } });
    expect(rig.clock.pendingTimers).toBe(0);
    await rig.advance(1e9);
    await rig.send(frames.windowUpdate(1, 5));
    expect(rig.client.response(1)).toMatchObject({ ended: true });
  });

  it('trailers count too', async () => {
    const rig = await waiting({
      onRequest: ({ encoder }) => {
        encoder.headers(responseOf(200), false);
        encoder.body(Buffer.from('hello'), false, false);
        encoder.trailers(trailersOf({ 'grpc-status': '0' }));
      },
    });
    await rig.advance(FLUSH_MS);
    expect(rig.client.response(1)).toMatchObject({ reset: Http2Code.internalError, trailers: undefined });
  });

  it('and whose request is not complete: NO_ERROR when it has the response, the timeout otherwise', async () => {
    for (const takes of [true, false]) {
      const rig = new ServerRig({
        settings: { [Http2Setting.initialWindowSize]: 0 },
        options: { streamFlushTimeoutMs: FLUSH_MS },
        onRequest: (exchange) => exchange.respond(200, {}, 'hello'),
      });
      rig.client.request(1, { ':method': 'POST' }, false);
      await rig.settle();
      await rig.advance(1000);
      expect(rig.client.response(1).reset).toBeUndefined();
      if (takes) await rig.send(frames.windowUpdate(1, 5), frames.windowUpdate(1, 100));
      await rig.advance(FLUSH_MS);
      expect(rig.client.response(1)).toMatchObject({
        ended: takes,
        reset: takes ? Http2Code.noError : Http2Code.internalError,
      });
      expect(rig.clock.pendingTimers).toBe(0);
    }
  });

  it('the timer goes with the connection', async () => {
    const rig = await waiting();
    rig.pair.client.close('reset');
    await rig.settle();
    expect(rig.clock.pendingTimers).toBe(0);
    await rig.advance(FLUSH_MS);
    expect(rig.stat('tx_flush_timeout')).toBe(0);
  });

  it('a drain waits for it', async () => {
    const rig = await waiting();
    rig.codec.startDrain();
    await rig.advance(5000);
    expect(rig.closed).toBe(false);
    await rig.send(frames.windowUpdate(1, 5));
    expect(rig.client.response(1)).toMatchObject({ ended: true });
    expect(rig.closed).toBe(true);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  it('a drain does not wait longer', async () => {
    const rig = await waiting();
    rig.codec.startDrain();
    await rig.advance(FLUSH_MS);
    expect(rig.closed).toBe(true);
    expect(rig.clock.pendingTimers).toBe(0);
  });
});

describe('a drain of a client that takes nothing', () => {
  it('ends the connection after the time for which any other waits', async () => {
    const rig = new ServerRig({ pair: { highWatermarkBytes: 1000 }, settings: { 4: 1_000_000 } });
    rig.client.request(1);
    await rig.settle();
    rig.pair.client.pauseReading();
    rig.exchange.respond(200, { 'content-length': '60000' }, 'x'.repeat(60_000));
    await rig.settle();
    rig.codec.startDrain();
    await rig.settle();
    expect(rig.closed).toBe(false);
    await rig.advance(rig.pair.server.delayedCloseMs);
    expect(rig.closed).toBe(true);
    rig.pair.client.resumeReading();
    await rig.settle();
    expect(rig.clock.pendingTimers).toBe(0);
  });
});

describe('connection_keepalive', () => {
  const keepAlive = { intervalMs: 1000, timeoutMs: 200, intervalJitterPercent: 0, idleIntervalMs: 0 };
  const pings = (rig: ServerRig): number =>
    rig.client.framesOf(FrameType.ping).filter(({ flags }) => (flags & FrameFlag.ack) === 0).length;

  it('asks every interval, and goes on when it is answered', async () => {
    const rig = await new ServerRig({ options: { keepAlive } }).settle();
    for (let i = 1; i <= 3; i++) {
      await rig.advance(999);
      expect(pings(rig)).toBe(i - 1);
      await rig.advance(1);
      expect(pings(rig)).toBe(i);
    }
    expect(rig.closed).toBe(false);
  });

  it('a client that does not answer is gone: http2_ping_timeout', async () => {
    const rig = await new ServerRig({ options: { keepAlive }, client: { ackPings: false } }).settle();
    rig.client.request(1);
    await rig.advance(1000);
    await rig.advance(199);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(rig.closed).toBe(true);
    expect(rig.pair.server.info.terminationDetails).toBe('http2_ping_timeout');
    expect(rig.stat('keepalive_timeout')).toBe(1);
    expect(rig.exchange.reset).toMatch(/^connection-termination/);
    expect(rig.stat('streams_active')).toBe(0);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  it('other frames are no answer', async () => {
    const rig = await new ServerRig({ options: { keepAlive }, client: { ackPings: false } }).settle();
    await rig.advance(1000);
    await rig.send(frames.ping(), frames.windowUpdate(0, 1));
    rig.client.request(1);
    await rig.advance(200);
    expect(rig.closed).toBe(true);
  });

  it('a connection that has rested is asked before its next stream', async () => {
    const idle = { ...keepAlive, intervalMs: 0, idleIntervalMs: 5000 };
    const rig = await new ServerRig({
      options: { keepAlive: idle },
      onRequest: (exchange) => exchange.respond(),
    }).settle();
    rig.client.request(1);
    await rig.advance(4999);
    rig.client.request(3);
    await rig.settle();
    expect(pings(rig)).toBe(0);
    await rig.advance(5000);
    rig.client.request(5);
    await rig.settle();
    expect(pings(rig)).toBe(1);
    expect(rig.client.response(5).status).toBe(200);
    await rig.advance(10_000);
    expect(rig.closed).toBe(false);
  });

  it('timers go with the connection, whichever way it ends', async () => {
    for (const end of [
      (rig: ServerRig) => rig.pair.client.close('reset'),
      (rig: ServerRig) => rig.pair.server.close('now'),
      (rig: ServerRig) => rig.codec.startDrain(),
      (rig: ServerRig) => rig.client.send(frames.windowUpdate(0, 0)),
      (rig: ServerRig) => rig.client.send(frames.goaway(0)),
    ]) {
      const rig = await new ServerRig({ options: { keepAlive } }).settle();
      end(rig);
      await rig.settle();
      expect(rig.closed).toBe(true);
      expect(rig.clock.pendingTimers).toBe(0);
      await rig.advance(10_000);
      expect(rig.stat('keepalive_timeout')).toBe(0);
    }
  });
});
