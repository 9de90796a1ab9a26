import type { TerminalHttpStream } from '@dragoman/core';
import { describe, expect, test, vi } from 'vitest';
import { ask, ManagerRig, ok, respond } from './manager-rig.ts';

/** Takes requests and answers none by itself. */
const silent = { headers() {} };
const drained = (rig: ManagerRig) => [rig.closed, rig.stat('downstream_cx_drain_close')];
const answers = (rig: ManagerRig) => rig.responses().map((response) => response.header('connection'));

describe('a connection that rests when a drain begins', () => {
  test('ends at once when it has rested for 100 ms', async () => {
    const rig = await ask({});
    await rig.advance(100);
    rig.context.drain.start();
    await rig.run();
    expect(drained(rig)).toEqual([true, 1]);
    expect(rig.stat('downstream_cx_destroy_local')).toBe(1);
  });

  test('ends when it has rested for 100 ms since its last response', async () => {
    const rig = await ask({});
    await rig.advance(500);
    await rig.request();
    await rig.advance(30);
    rig.context.drain.start();
    await rig.advance(69);
    expect(drained(rig)).toEqual([false, 0]);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('answers a request that comes meanwhile, and that is its last', async () => {
    const rig = await ask({});
    rig.context.drain.start();
    await rig.advance(99);
    await rig.request();
    expect(answers(rig)).toEqual([undefined, 'close']);
    expect(drained(rig)).toEqual([true, 1]);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test('answers it also when it takes long, or when half of its head is there', async () => {
    const long = await ask({});
    const half = await ask({});
    for (const { context } of [long, half]) context.drain.start();
    await long.request('POST / HTTP/1.1', 'content-length: 2');
    await half.send('GET / HTTP/1.1\r\nhost: ');
    await Promise.all([long.advance(5000), half.advance(5000)]);
    expect([long.closed, half.closed]).toEqual([false, false]);
    await Promise.all([long.send('hi'), half.send('a\r\n\r\n')]);
    expect([answers(long), answers(half)]).toEqual([
      [undefined, 'close'],
      [undefined, 'close'],
    ]);
    expect([drained(long), drained(half)]).toEqual([
      [true, 1],
      [true, 1],
    ]);
  });

  test('has the same time when it never sent anything, from its acceptance', async () => {
    const rig = new ManagerRig();
    await rig.advance(40);
    rig.context.drain.start();
    await rig.advance(59);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('waits for its delay', async () => {
    const rig = await ask({});
    await rig.advance(1000);
    rig.context.drain.closes = false;
    rig.context.drain.start(700);
    await rig.advance(650);
    await rig.request();
    await rig.advance(99);
    expect(drained(rig)).toEqual([false, 0]);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
    expect(answers(rig)).toEqual([undefined, undefined]);
  });

  test('goes sooner when another drain says so, and not later', async () => {
    const rig = await ask({});
    rig.context.drain.start(5000);
    await rig.advance(200);
    rig.context.drain.start(300);
    rig.context.drain.start(6000);
    await rig.advance(299);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('does not rest while the peer has not taken all of its response', async () => {
    const rig = await ask({});
    const buffered = vi.spyOn(rig.pair.server, 'bufferedBytes', 'get').mockReturnValue(1);
    await rig.advance(500);
    rig.context.drain.start();
    await rig.advance(1000);
    expect(rig.closed).toBe(false);
    buffered.mockReturnValue(0);
    await rig.advance(99);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });
});

describe('a connection that is busy when a drain begins', () => {
  test('ends with its response', async () => {
    const rig = await ask({ upstream: silent });
    rig.context.drain.start();
    await rig.advance(1000);
    expect(rig.closed).toBe(false);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    expect(answers(rig)).toEqual(['close']);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('is left to chance after its delay too, and ends when it rests', async () => {
    const rig = await ask({ upstream: silent });
    const { drain } = rig.context;
    drain.closes = false;
    drain.start(500);
    await rig.advance(499);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    await rig.request();
    await rig.advance(1);
    ok(rig.streams[1] as TerminalHttpStream);
    await rig.run();
    expect(answers(rig)).toEqual([undefined, undefined]);
    await rig.advance(99);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('ends with the response that chance chooses, long before its delay', async () => {
    const rig = await ask({});
    rig.context.drain.start(60_000);
    await rig.request();
    expect(answers(rig)).toEqual([undefined, 'close']);
    expect(drained(rig)).toEqual([true, 1]);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  test('whose response has begun rests before it ends', async () => {
    const rig = await ask({ upstream: { headers: (stream) => stream.sendHeaders(respond(200), false) } });
    rig.context.drain.start();
    await rig.advance(1000);
    rig.streams[0]?.sendBody(Buffer.from('x'), true, true);
    await rig.advance(99);
    expect([rig.response.header('connection'), rig.closed]).toEqual([undefined, false]);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('whose response was early rests from the end of its request', async () => {
    const rig = new ManagerRig({
      upstream: {
        headers: (stream) => {
          if (stream.requestHeaders.method === 'POST') ok(stream);
        },
      },
    });
    await rig.request('POST / HTTP/1.1', 'content-length: 2');
    expect(rig.response.status).toBe(200);
    await rig.send('h');
    rig.context.drain.start();
    await rig.advance(1000);
    await rig.send('i');
    await rig.advance(99);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(drained(rig)).toEqual([true, 1]);
  });

  test('is counted once, also while its end is awaited', async () => {
    const rig = await ask({ upstream: silent });
    const { server } = rig.pair;
    // In memory nothing is ever awaited: here the peer never reads.
    const close = vi.spyOn(server, 'close').mockImplementation(() => {
      vi.spyOn(server, 'open', 'get').mockReturnValue(false);
    });
    rig.context.drain.start(50);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.advance(5000);
    rig.context.drain.start(0);
    await rig.advance(5000);
    expect(close).not.toHaveBeenCalledWith('flush', 'drained');
    expect(rig.stat('downstream_cx_drain_close')).toBe(1);
  });
});

describe('a connection that comes during a drain', () => {
  test('has its delay, and at least the time for a request', async () => {
    const fresh = (delayMs: number) => {
      const { drain } = new ManagerRig().context;
      drain.start(delayMs);
      return new ManagerRig({ context: { drain } });
    };
    const [now, later] = [fresh(0), fresh(5000)];
    await Promise.all([now.advance(99), later.advance(4999)]);
    expect([now.closed, later.closed]).toEqual([false, false]);
    await Promise.all([now.advance(1), later.advance(1)]);
    expect([drained(now), drained(later)]).toEqual([
      [true, 1],
      [true, 1],
    ]);
  });

  test('gets its first request answered', async () => {
    const { drain } = new ManagerRig().context;
    drain.start();
    const rig = await ask({ context: { drain } });
    expect(answers(rig)).toEqual(['close']);
    expect(drained(rig)).toEqual([true, 1]);
  });
});

test('a connection that is gone waits for no drain, and leaves no timer', async () => {
  const rig = await ask({});
  const { drain } = rig.context;
  expect([drain.waiting, rig.clock.pendingTimers]).toEqual([1, 1]);
  drain.start(500);
  expect(rig.clock.pendingTimers).toBe(2);
  rig.pair.client.close('reset');
  await rig.run();
  expect([drain.waiting, rig.clock.pendingTimers]).toEqual([0, 0]);
  await rig.advance(1000);
  expect(rig.stat('downstream_cx_drain_close')).toBe(0);
});

test('without a drain a connection has no timer for it', async () => {
  const rig = await ask({ manager: { common_http_protocol_options: { idle_timeout: '0s' } } });
  expect(rig.clock.pendingTimers).toBe(0);
  await rig.request();
  expect([rig.clock.pendingTimers, answers(rig)]).toEqual([0, [undefined, undefined]]);
});
