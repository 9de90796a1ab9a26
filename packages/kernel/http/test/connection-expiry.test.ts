import type { TerminalHttpStream } from '@dragoman/core';
import { type JsonObject, SeededRandom } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ManagerRig, ok } from './manager-rig.ts';

const silent = { upstream: { headers() {} } };
const HALF_A_HEAD = 'GET / HTTP/1.1\r\nhost: a.t';

/** What makes a connection expire after 10 s. */
const CAUSES: readonly (readonly [string, JsonObject, string])[] = [
  ['idle_timeout', { idle_timeout: '10s' }, 'downstream_cx_idle_timeout'],
  ['max_connection_duration', { max_connection_duration: '10s' }, 'downstream_cx_max_duration_reached'],
];

describe.each(CAUSES)('%s', (_, common, stat) => {
  const manager = { common_http_protocol_options: common };

  test('closes a connection that never brought a byte at once', async () => {
    const rig = new ManagerRig({ manager });
    await rig.advance(9999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect([rig.closed, rig.stat(stat), rig.stat('downstream_cx_destroy_local')]).toEqual([true, 1, 1]);
  });

  test.each<[string, JsonObject, number]>([
    ['5 s by default', {}, 5000],
    ['drain_timeout', { drain_timeout: '2s' }, 2000],
    ['0', { drain_timeout: '0s' }, 0],
    [
      'with jitter, as much of it as is drawn',
      { drain_timeout: '2s', drain_timeout_jitter: { value: 50 } },
      2250,
    ],
    ['jitter of the default', { drain_timeout_jitter: { value: 100 } }, 6250],
  ])('leaves another open for a while: %s', async (__, more, ms) => {
    const random = Object.assign(new SeededRandom(), { random: () => 0.25 });
    const rig = new ManagerRig({ manager: { ...manager, ...more }, context: { random } });
    await rig.request();
    await rig.advance(10_000);
    expect(rig.stat(stat)).toBe(1);
    if (ms > 0) {
      await rig.advance(ms - 1);
      expect(rig.closed).toBe(false);
    }
    await rig.advance(1);
    expect(rig.closed).toBe(true);
    expect(rig.stat('downstream_cx_destroy_local')).toBe(1);
  });

  test('a request that comes meanwhile is served, as the last', async () => {
    const rig = new ManagerRig({ manager });
    await rig.request();
    await rig.advance(12_000);
    await rig.request('GET /late HTTP/1.1');
    expect(rig.responses().map((response) => response.header('connection'))).toEqual([undefined, 'close']);
    expect(rig.closed).toBe(true);
  });

  test('one that has begun meanwhile is waited for', async () => {
    const rig = new ManagerRig({ manager });
    await rig.request();
    await rig.advance(14_000);
    await rig.send(HALF_A_HEAD);
    await rig.advance(100_000);
    expect(rig.closed).toBe(false);
    await rig.send('est\r\n\r\n');
    expect(rig.responses().map((response) => response.header('connection'))).toEqual([undefined, 'close']);
    expect([rig.closed, rig.stat(stat)]).toEqual([true, 1]);
  });
});

describe('max_connection_duration', () => {
  const manager = { common_http_protocol_options: { max_connection_duration: '10s' } };

  test('during a response that ends in time: the connection rests, then goes', async () => {
    const rig = new ManagerRig({
      manager,
      upstream: { headers: (stream) => void ok(stream, 'begun') },
    });
    await rig.request();
    await rig.advance(14_999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect(rig.closed).toBe(true);
  });

  test('during a request that lasts longer than the drain: with its end', async () => {
    const rig = new ManagerRig({ manager, ...silent });
    await rig.request();
    await rig.advance(60_000);
    expect(rig.closed).toBe(false);
    ok(rig.streams[0] as TerminalHttpStream);
    await rig.run();
    expect([rig.response.header('connection'), rig.closed]).toEqual(['close', true]);
  });
});

describe('http1_safe_max_connection_duration', () => {
  const manager = {
    http1_safe_max_connection_duration: true,
    common_http_protocol_options: { max_connection_duration: '10s', idle_timeout: '100s' },
  };

  test('the connection waits for its next response, which is the last', async () => {
    const rig = new ManagerRig({ manager });
    await rig.request();
    await rig.advance(90_000);
    expect([rig.closed, rig.stat('downstream_cx_http1_soft_drain')]).toEqual([false, 1]);
    await rig.request();
    expect(rig.responses().map((response) => response.header('connection'))).toEqual([undefined, 'close']);
    expect([rig.closed, rig.stat('downstream_cx_http1_soft_drain')]).toEqual([true, 0]);
    expect(rig.stat('downstream_cx_max_duration_reached')).toBe(1);
  });

  test('idle_timeout still ends it', async () => {
    const rig = new ManagerRig({ manager });
    await rig.request();
    await rig.advance(104_999);
    expect(rig.closed).toBe(false);
    await rig.advance(1);
    expect([rig.closed, rig.stat('downstream_cx_http1_soft_drain')]).toEqual([true, 0]);
  });

  test('so does a drain', async () => {
    const rig = new ManagerRig({ manager });
    await rig.request();
    await rig.advance(20_000);
    rig.context.drain.start();
    await rig.advance(1000);
    expect(rig.closed).toBe(true);
  });

  test('without a byte received it is closed at once', async () => {
    const rig = new ManagerRig({ manager });
    await rig.advance(10_000);
    expect([rig.closed, rig.stat('downstream_cx_http1_soft_drain')]).toEqual([true, 0]);
  });
});
