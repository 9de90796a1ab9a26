import { describe, expect, it } from 'vitest';
import {
  GrpcRetryOn,
  parseAnyRetryOn,
  parseGrpcRetryOn,
  parseRetryOn,
  readGrpcTimeout,
  RequestHeaders,
  RetryOn,
  removeGrpcTimeout,
  writeGrpcTimeout,
  isGrpcContentType,
  spreadOverPriorities,
  availability,
  type Host,
  type HostSet,
} from '../src/index.ts';

describe('words of retry conditions', () => {
  it.each([
    ['5xx', RetryOn['5xx'], []],
    [' 5xx ,\treset', RetryOn['5xx'] | RetryOn.reset, []],
    ['', 0, []],
    [',,', 0, []],
    ['5xx,cancelled,x', RetryOn['5xx'], ['cancelled', 'x']],
    ['toString', 0, ['toString']],
    ['5XX', 0, ['5XX']],
  ])('%j', (list, on, unknown) => {
    expect(parseRetryOn(list)).toEqual({ on, unknown });
  });

  it('of gRPC are a list of their own; a policy takes both', () => {
    expect(parseGrpcRetryOn('internal,5xx')).toEqual({ on: GrpcRetryOn.internal, unknown: ['5xx'] });
    expect(parseAnyRetryOn('internal,5xx')).toEqual({
      on: GrpcRetryOn.internal | RetryOn['5xx'],
      unknown: [],
    });
  });

  it('have a bit each', () => {
    const bits = [...Object.values(RetryOn), ...Object.values(GrpcRetryOn)];
    expect(new Set(bits).size).toBe(bits.length);
    for (const bit of bits) expect(bit & (bit - 1)).toBe(0);
  });
});

const hosts = (...weights: number[]): Host[] => weights.map((weight) => ({ weight }) as Host);

const withTimeout = (value: string): RequestHeaders => {
  const headers = new RequestHeaders();
  headers.append('grpc-timeout', value);
  return headers;
};

describe('grpc-timeout', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['1u', 1],
    ['1500u', 2],
    ['2000000n', 2],
    ['2000001n', 3],
    ['0m', 0],
    ['99999999H', 99_999_999 * 3_600_000],
    ['100000000m', undefined],
    ['-1S', undefined],
    ['1', undefined],
    ['S', undefined],
    ['', undefined],
    ['1s', undefined],
    ['1.5S', undefined],
    ['1 S', undefined],
  ])('reads %j as %s ms', (value, ms) => {
    expect(readGrpcTimeout(withTimeout(value))).toBe(ms);
  });

  it.each([
    [0, '0m'],
    [1.9, '1m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [99_999_999_999, '99999999S'],
    [100_000_000_000, '1666666M'],
    [6e12, '1666666H'],
    [Number.MAX_SAFE_INTEGER * 1000, '99999999H'],
  ])('writes %s ms as %s', (ms, value) => {
    const headers = new RequestHeaders();
    writeGrpcTimeout(headers, ms);
    expect(headers.get('grpc-timeout')).toBe(value);
    removeGrpcTimeout(headers);
    expect(readGrpcTimeout(headers)).toBeUndefined();
  });

  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc-web', false],
    ['application/grpc; charset=x', false],
    ['text/plain', false],
  ])('belongs to a request of type %s: %s', (type, is) => {
    const headers = new RequestHeaders();
    expect(isGrpcContentType(headers)).toBe(false);
    headers.append('content-type', type);
    expect(isGrpcContentType(headers)).toBe(is);
  });
});

describe('shares of priorities', () => {
  it.each([
    [
      [100, 100],
      [0, 0],
      [100, 0],
      [0, 0],
    ],
    [
      [70, 100],
      [0, 0],
      [70, 30],
      [0, 0],
    ],
    [
      [0, 20],
      [0, 40],
      [0, 34],
      [0, 66],
    ],
    [
      [0, 0],
      [20, 40],
      [0, 0],
      [34, 66],
    ],
  ])('healthy %j, degraded %j', (health, degraded, healthyShares, degradedShares) => {
    const total = Math.min(
      100,
      [...health, ...degraded].reduce((all, part) => all + part, 0),
    );
    expect(spreadOverPriorities(health, degraded, total)).toEqual({
      healthy: healthyShares,
      degraded: degradedShares,
    });
  });

  it('availability is at most 100, and 0 of nothing', () => {
    const set = (count: number) =>
      ({ hosts: new Array(count), excluded: 0, overprovisioningFactor: 140 }) as unknown as HostSet;
    expect([
      availability(set(0), hosts()),
      availability(set(4), hosts(1)),
      availability(set(4), hosts(1, 1, 1)),
      availability(set(4), hosts(1, 1, 1, 1)),
    ]).toEqual([0, 35, 100, 100]);
  });

  it('availability goes by weight where the set says so', () => {
    const set = {
      hosts: new Array(5),
      excluded: 1,
      countedWeight: 20,
      overprovisioningFactor: 100,
    } as unknown as HostSet;
    expect([
      availability(set, hosts(1, 1, 1)),
      availability(set, hosts(17)),
      availability(set, hosts()),
    ]).toEqual([15, 85, 0]);
    expect(availability({ ...set, hosts: [], excluded: 0, countedWeight: 0 }, hosts())).toBe(0);
  });
});
