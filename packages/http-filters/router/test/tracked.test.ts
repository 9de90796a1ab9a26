import type { ClusterInfo, Histogram, MessageSizeStats } from '@dragoman/core';
import { testHosts } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

class Recorded implements Histogram {
  readonly name = 'test';
  readonly unit = 'unspecified';
  readonly values: number[] = [];
  record(value: number): void {
    this.values.push(value);
  }
}

function budgets(options: RigOptions = {}) {
  const global = new Recorded();
  const perTry = new Recorded();
  const cluster: Partial<ClusterInfo> = { timeoutBudgets: { global, perTry } };
  return { rig: new Rig({ hosts: testHosts(2), ...options, cluster }), global, perTry };
}

describe('timeout_budgets', () => {
  test('an answer has used so much of its time', () => {
    const action = { timeout: '2s', retry_policy: { retry_on: '5xx', per_try_timeout: '1s' } };
    const { rig, global, perTry } = budgets({ action });
    rig.request();
    rig.clock.advance(100);
    rig.last.ready();
    rig.clock.advance(155);
    rig.last.respond({});
    expect([global.values, perTry.values]).toEqual([[12], [25]]);
  });

  test('each try counts for itself, also one that fails', () => {
    const action = { timeout: '1s', retry_policy: { retry_on: 'connect-failure', per_try_timeout: '0.5s' } };
    const { rig, global, perTry } = budgets({ action });
    rig.request();
    rig.clock.advance(50);
    rig.last.fail('remote-connection-failure');
    rig.backOff(25).ready();
    rig.clock.advance(100);
    rig.last.respond({});
    expect(perTry.values).toEqual([10, 20]);
    // The delay between them counts here.
    expect(global.values).toEqual([17]);
  });

  test('a timeout has used all of it', () => {
    const { rig, global, perTry } = budgets({ action: { timeout: '1s' } });
    rig.request();
    rig.last.ready();
    rig.clock.advance(1000);
    expect(rig.stream.replies.map(({ status }) => status)).toEqual([504]);
    // Nothing limits a single try.
    expect([global.values, perTry.values]).toEqual([[100], [0]]);
  });

  test('nothing is used of a time without end', () => {
    const { rig, global } = budgets({ action: { timeout: '0s' } });
    rig.request();
    rig.clock.advance(5000);
    rig.last.ready().respond({});
    expect(global.values).toEqual([0]);
  });

  test('one that is reset counts its try alone', () => {
    const { rig, global, perTry } = budgets();
    rig.request();
    rig.last.ready().lose('connection-termination');
    expect([global.values, perTry.values]).toEqual([[], [0]]);
  });
});

describe('request_response_sizes', () => {
  const NAMES = [
    'rqHeadersSize',
    'rqHeadersCount',
    'rqBodySize',
    'rsHeadersSize',
    'rsHeadersCount',
    'rsBodySize',
  ] as const;

  function sizes(options: RigOptions = {}) {
    const recorded = Object.fromEntries(NAMES.map((name) => [name, new Recorded()])) as Record<
      keyof MessageSizeStats,
      Recorded
    >;
    const rig = new Rig({ hosts: testHosts(2), ...options, cluster: { messageSizes: recorded } });
    const values = () => NAMES.map((name) => recorded[name].values);
    return { rig, values };
  }

  test('are those of the try: what was sent, and what came', () => {
    const { rig, values } = sizes();
    rig.request(false);
    rig.body('abc');
    rig.last.ready();
    rig.body('defgh', true);
    const { requestHeaders } = rig.stream;
    rig.last.respond({ 'x-a': 'b' }, false);
    rig.last.decoder.onBody(Buffer.from('0123456789'), false, true);
    rig.last.decoder.onBody(Buffer.from('x'), true, true);
    const [rqSize, rqCount, ...rest] = values();
    expect(rqSize).toEqual([requestHeaders.byteSize()]);
    expect(rqCount).toEqual([requestHeaders.entries().length]);
    // `:status: 200`, `x-a: b`
    expect(rest).toEqual([[8], [14], [2], [11]]);
  });

  test('have no answer where none came', () => {
    const { rig, values } = sizes();
    rig.request();
    rig.last.fail('remote-connection-failure');
    const [, , ...rest] = values();
    expect(rest).toEqual([[0], [], [], []]);
  });

  test('an answer that is not passed on counts too', () => {
    const { rig, values } = sizes({ action: { retry_policy: { retry_on: '5xx', num_retries: 1 } } });
    rig.request();
    rig.last.ready().respond({ ':status': '503' });
    rig.backOff().ready().respond({});
    const [, , sent, , headers] = values();
    expect([sent, headers]).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });
});
