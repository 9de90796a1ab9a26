import { SlowStartConfigSchema, readLoose } from '@dragoman/api';
import { emptyRuntime, type Host, type HostPicker } from '@dragoman/core';
import { FakeClock, testHost, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { CursorPicker, EdfPicker, NO_HOST, sameWeights, SlowStart, turnPicker } from '../src/index.ts';

function picks(picker: HostPicker, count: number): (Host | undefined)[] {
  return Array.from({ length: count }, () => picker.pick(undefined));
}

function countOf(host: Host, picked: readonly (Host | undefined)[]): number {
  return picked.filter((candidate) => candidate === host).length;
}

describe('EdfPicker', () => {
  it('asks for the weight of the host that is picked, and for no other', () => {
    const hosts = testHosts(3);
    const asked: Host[] = [];
    const picker = new EdfPicker(hosts, 0, (host) => {
      asked.push(host);
      return host.weight;
    });
    asked.length = 0;
    const picked = picks(picker, 10);
    expect(asked).toEqual(picked);
  });

  it('gives a host that has become heavier its new share from its next turn on', () => {
    const [a, b] = testHosts(2);
    const picker = new EdfPicker([a, b], 0, (host) => host.weight);
    expect(countOf(a, picks(picker, 100))).toBe(50);
    a.weight = 9;
    picks(picker, 2);
    const found = picks(picker, 1000);
    expect(Math.abs(countOf(a, found) - 900)).toBeLessThanOrEqual(1);
  });

  it('lets a host that has become lighter wait', () => {
    const [a, b] = testHosts(2, [4, 4]);
    const picker = new EdfPicker([a, b], 0, (host) => host.weight);
    a.weight = 1;
    picks(picker, 2);
    expect(Math.abs(countOf(a, picks(picker, 500)) - 100)).toBeLessThanOrEqual(2);
  });

  it('keeps the weights of the start when it is not told how to weigh', () => {
    const [a, b] = testHosts(2, [3, 1]);
    const picker = new EdfPicker([a, b], 0);
    a.weight = 1;
    expect(countOf(a, picks(picker, 400))).toBe(300);
  });

  it('takes a weight of 0 for 1', () => {
    const [a, b] = testHosts(2, [0, 1]);
    expect(countOf(a, picks(new EdfPicker([a, b], 0), 10))).toBe(5);
  });
});

describe('turnPicker', () => {
  it('has no host where there is none', () => {
    expect(turnPicker([], 5, undefined, undefined)).toBe(NO_HOST);
    expect(NO_HOST.pick(undefined)).toBeUndefined();
  });

  it('goes in turn where weights are equal, on from where its predecessor was', () => {
    const hosts = testHosts(3, [7, 7, 7]);
    const first = turnPicker(hosts, 4, undefined, undefined);
    expect(first).toBeInstanceOf(CursorPicker);
    expect(picks(first, 2)).toEqual([hosts[1], hosts[2]]);
    expect(turnPicker(hosts, 4, undefined, first).pick(undefined)).toBe(hosts[0]);
  });

  it('goes by weight where weights differ', () => {
    expect(turnPicker(testHosts(2, [1, 2]), 0, undefined, undefined)).toBeInstanceOf(EdfPicker);
  });

  it('goes by weight while a host starts slowly', () => {
    const clock = new FakeClock();
    const slow = SlowStart.of(
      readLoose(SlowStartConfigSchema, { slow_start_window: '10s' }),
      clock,
      emptyRuntime,
    );
    const fresh = testHost('10.0.1.1:80', 1, { healthySince: clock.now() });
    const [old] = testHosts(1);
    const early = turnPicker([old, fresh], 0, slow, undefined);
    expect(countOf(fresh, picks(early, 110))).toBe(10);
    clock.advance(10_000);
    expect(turnPicker([old, fresh], 0, slow, early)).toBeInstanceOf(CursorPicker);
  });
});

it.each([
  [[5], true],
  [[2, 2, 2], true],
  [[2, 2, 3], false],
  [[1, 2], false],
])('weights %j are the same: %s', (weights, same) => {
  expect(sameWeights(testHosts(weights.length, weights))).toBe(same);
});
