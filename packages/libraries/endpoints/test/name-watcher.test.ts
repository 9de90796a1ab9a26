import { ClusterSchema, readLoose } from '@dragoman/api';
import type { DnsAddress, DnsLookupFamily, DnsResolver, DnsResult } from '@dragoman/core';
import { FakeClock, SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { NameWatcher, readDnsOptions } from '../src/index.ts';

/** Answers what the test says, one answer for each query. */
class ScriptedDns implements DnsResolver {
  readonly queries: [name: string, family: DnsLookupFamily][] = [];
  private readonly answers: (DnsResult | Error)[];

  constructor(...answers: (DnsResult | Error)[]) {
    this.answers = answers;
  }

  async resolve(name: string, family: DnsLookupFamily): Promise<DnsResult> {
    this.queries.push([name, family]);
    const answer = this.answers.shift() ?? this.queries.length;
    if (answer instanceof Error) throw answer;
    return typeof answer === 'number' ? good('10.0.0.1') : answer;
  }

  close(): void {}
}

const good = (ip: string, ttlSeconds = 30): DnsResult => ({ ok: true, addresses: [{ ip, ttlSeconds }] });
const bad: DnsResult = { ok: false, reason: 'SERVFAIL' };

function watch(config: object, ...answers: (DnsResult | Error)[]) {
  const clock = new FakeClock();
  const dns = new ScriptedDns(...answers);
  const events: string[] = [];
  const options = readDnsOptions(readLoose(ClusterSchema, { name: 'web', ...config }));
  const watcher = new NameWatcher(
    'web.example',
    options,
    { dns, clock, random: new SeededRandom(3) },
    {
      onAttempt: () => events.push('attempt'),
      onAddresses: (addresses: readonly DnsAddress[]) => {
        events.push(addresses.map(({ ip }) => ip).join() || 'empty');
        return addresses.length > 0;
      },
      onFailure: (reason) => events.push(reason),
    },
  );
  watcher.start();
  return { clock, dns, events, watcher };
}

describe('NameWatcher', () => {
  it('asks again 5 s after the answer', async () => {
    const { clock, events, dns } = watch({ dns_lookup_family: 'V4_ONLY' });
    await clock.advanceAsync(0);
    expect(events).toEqual(['attempt', '10.0.0.1']);
    expect(clock.nextTimerInMs).toBe(5000);
    await clock.advanceAsync(5000);
    expect(dns.queries).toEqual([
      ['web.example', 'V4_ONLY'],
      ['web.example', 'V4_ONLY'],
    ]);
  });

  it.each<[string, object, DnsResult, number]>([
    ['the rate', { dns_refresh_rate: '7s' }, good('10.0.0.1', 1), 7000],
    ['the TTL', { respect_dns_ttl: true }, good('10.0.0.1', 60), 60_000],
    [
      'the shortest TTL',
      { respect_dns_ttl: true },
      {
        ok: true,
        addresses: [
          { ip: '10.0.0.1', ttlSeconds: 60 },
          { ip: '10.0.0.2', ttlSeconds: 9 },
        ],
      },
      9000,
    ],
    ['the rate, for a TTL of 0', { respect_dns_ttl: true }, good('10.0.0.1', 0), 5000],
    ['the rate, for addresses without TTL', { respect_dns_ttl: true }, good('10.0.0.1', Infinity), 5000],
    ['a day, for any longer TTL', { respect_dns_ttl: true }, good('10.0.0.1', 2 ** 31), 86_400_000],
    ['the rate, after a failure', { respect_dns_ttl: true }, bad, 5000],
  ])('waits for %s', async (_name, config, answer, wait) => {
    const { clock } = watch(config, answer);
    await clock.advanceAsync(0);
    expect(clock.nextTimerInMs).toBe(wait);
  });

  it('adds jitter', async () => {
    const options = readDnsOptions(readLoose(ClusterSchema, { name: 'web', dns_jitter: '1s' }));
    const clock = new FakeClock();
    const waits = new Set<number>();
    const watcher = new NameWatcher(
      'web.example',
      options,
      { dns: new ScriptedDns(), clock, random: new SeededRandom(5) },
      { onAttempt: () => {}, onAddresses: () => true, onFailure: () => {} },
    );
    watcher.start();
    for (let i = 0; i < 5; i++) {
      await clock.advanceAsync(clock.nextTimerInMs ?? 0);
      waits.add(clock.nextTimerInMs ?? 0);
    }
    for (const wait of waits) expect(wait >= 5000 && wait < 6000).toBe(true);
    expect(waits.size).toBeGreaterThan(1);
  });

  it('backs off at the failure rate, jittered, doubling up to the maximum, and starts over after success', async () => {
    const config = { dns_failure_refresh_rate: { base_interval: '1s', max_interval: '3s' } };
    const { clock, events } = watch(config, bad, bad, bad, bad, good('10.0.0.1'), bad);
    await clock.advanceAsync(0);
    for (const bound of [1000, 2000, 3000, 3000]) {
      const wait = clock.nextTimerInMs ?? Number.NaN;
      expect(wait).toBeGreaterThan(0);
      expect(wait).toBeLessThan(bound);
      await clock.advanceAsync(wait);
    }
    expect(events.at(-1)).toBe('10.0.0.1');
    await clock.advanceAsync(5000);
    expect(events.at(-1)).toBe('SERVFAIL');
    expect(clock.nextTimerInMs).toBeLessThan(1000);
  });

  it('goes on when a resolver breaks its promise and throws', async () => {
    const { clock, events } = watch({}, new Error('bug'));
    await clock.advanceAsync(0);
    expect(events).toEqual(['attempt', 'Error: bug']);
    await clock.advanceAsync(5000);
    expect(events.at(-1)).toBe('10.0.0.1');
  });

  it('says nothing after stop, not even of a query under way', async () => {
    const { clock, events, watcher } = watch({});
    watcher.stop();
    await clock.advanceAsync(10_000);
    expect(events).toEqual(['attempt']);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('readDnsOptions', () => {
  const read = (config: object) => readDnsOptions(readLoose(ClusterSchema, { name: 'web', ...config }));

  it('has Envoy’s defaults', () => {
    expect(read({})).toEqual({
      family: 'AUTO',
      refreshMs: 5000,
      jitterMs: 0,
      respectTtl: false,
      failure: undefined,
    });
    expect(read({ dns_failure_refresh_rate: { base_interval: '2s' } }).failure).toEqual({
      baseMs: 2000,
      maxMs: 20_000,
    });
  });

  it.each<[object, string]>([
    [{ dns_refresh_rate: '0s' }, 'dns_refresh_rate'],
    [{ dns_jitter: '-1s' }, 'dns_jitter'],
    [{ dns_failure_refresh_rate: {} }, 'dns_failure_refresh_rate.base_interval'],
    [
      { dns_failure_refresh_rate: { base_interval: '5s', max_interval: '1s' } },
      'dns_failure_refresh_rate.max_interval',
    ],
  ])('refuses %j', (config, path) => {
    expect(() => read(config)).toThrow(path);
  });
});
