import { emptyRuntime } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { dnsCacheOf } from '../src/index.ts';
import { AskedDns, config, contextWith, scene } from './support.ts';

const IDLE = { 'circuit_breakers.rq_pending_remaining': 1024 };

describe('a host', () => {
  it('is asked for once, and everybody who waits is told after the listeners', async () => {
    const { load, dns, events, counts } = scene();
    expect(load('a.example').kind).toBe('loading');
    expect(load('a.example').kind).toBe('loading');
    expect(dns.asked).toEqual(['a.example AUTO']);
    expect(counts()).toEqual({
      dns_query_attempt: 1,
      host_added: 1,
      num_hosts: 1,
      'circuit_breakers.rq_pending_remaining': 1022,
    });
    await dns.answer('10.0.0.1', '10.0.0.2');
    expect(events).toEqual([
      'address a.example:80 10.0.0.1:80',
      'loaded a.example:80 10.0.0.1:80',
      'loaded a.example:80 10.0.0.1:80',
    ]);
    expect(load('a.example:80')).toMatchObject({ kind: 'cached', host: { key: 'a.example:80' } });
    expect(counts()).toEqual({
      ...IDLE,
      dns_query_attempt: 1,
      dns_query_success: 1,
      host_added: 1,
      host_address_changed: 1,
      num_hosts: 1,
    });
  });

  it('is another one with another port', async () => {
    const { load, dns, events } = scene({ dns_lookup_family: 'V6_ONLY' });
    load('a.example', 443);
    load('a.example:8443', 443);
    load('[fd00::1]', 443);
    expect(dns.asked).toEqual(['a.example V6_ONLY', 'a.example V6_ONLY', 'fd00::1 V6_ONLY']);
    await dns.answer('fd00::1');
    await dns.answer('fd00::2');
    expect(events.filter((event) => event.startsWith('address'))).toEqual([
      'address a.example:443 [fd00::1]:443',
      'address a.example:8443 [fd00::2]:8443',
    ]);
  });

  it('that nobody waits for any more is resolved all the same', async () => {
    const { load, dns, events, counts } = scene();
    const lookup = load('a.example');
    if (lookup.kind !== 'loading') throw new Error('it is known');
    lookup.cancel();
    lookup.cancel();
    expect(counts()).toMatchObject(IDLE);
    await dns.answer('10.0.0.1');
    expect(events).toEqual(['address a.example:80 10.0.0.1:80']);
    expect(load('a.example').kind).toBe('cached');
  });

  it('gives up its place after host_ttl, however long its answer may be kept', async () => {
    const { load, dns, clock } = scene({ max_hosts: 1, host_ttl: '30s' });
    load('a.example');
    await dns.answer('10.0.0.1');
    clock.advance(30_002);
    expect(load('b.example').kind).toBe('loading');
  });

  it('tells nobody who has given up because of another who was told', async () => {
    const { cache, dns } = scene();
    const told: string[] = [];
    let second: { cancel(): void } | undefined;
    cache.load('a.example', 80, () => {
      told.push('first');
      second?.cancel();
    });
    const lookup = cache.load('a.example', 80, () => told.push('second'));
    if (lookup.kind === 'loading') second = lookup;
    await dns.answer('10.0.0.1');
    expect(told).toEqual(['first']);
  });

  it('without an address is known as such until the next query', async () => {
    const { load, dns, events, counts, clock } = scene({ dns_refresh_rate: '10s' });
    load('a.example');
    await dns.answer();
    load('b.example');
    await dns.fail();
    expect(events).toEqual(['loaded a.example:80 no_addresses', 'loaded b.example:80 SERVFAIL']);
    expect(load('a.example')).toMatchObject({ kind: 'cached', host: { address: undefined } });
    expect(counts()).toMatchObject({ dns_query_success: 1, dns_query_failure: 1 });
    clock.advance(10_000);
    await dns.answer('10.0.0.1');
    await dns.answer('10.0.0.2');
    expect(events.slice(2)).toEqual(['address a.example:80 10.0.0.1:80', 'address b.example:80 10.0.0.2:80']);
  });

  it('keeps its address through failures and empty answers, and tells of another one', async () => {
    const { load, dns, events, counts, clock } = scene({ dns_refresh_rate: '10s' });
    load('a.example');
    await dns.answer({ ip: '10.0.0.1', ttlSeconds: 10 });
    events.length = 0;
    clock.advance(10_000);
    await dns.fail();
    clock.advance(10_000);
    await dns.answer();
    clock.advance(10_000);
    await dns.answer({ ip: '10.0.0.1', ttlSeconds: 10 });
    expect(load('a.example')).toMatchObject({ host: { address: { text: '10.0.0.1:80' }, failure: '' } });
    expect(events).toEqual([]);
    clock.advance(10_000);
    await dns.answer('10.0.0.9');
    expect(events).toEqual(['address a.example:80 10.0.0.9:80']);
    expect(counts()).toMatchObject({ host_address_changed: 2, dns_query_attempt: 5 });
  });
});

describe('time', () => {
  it.each<[string, object, number | undefined, number]>([
    ['the TTL of the first address', {}, 30, 30_000],
    ['never sooner than the minimum', {}, 1, 5_000],
    ['never sooner than another minimum', { dns_min_refresh_rate: '2s' }, 0, 2_000],
    ['the rate where there is no TTL', { dns_refresh_rate: '7s' }, Number.POSITIVE_INFINITY, 7_000],
    ['the rate for an empty answer', { dns_refresh_rate: '7s' }, undefined, 7_000],
    ['at most a day', {}, 1_000_000, 86_400_000],
  ])('the next query comes after %s', async (_, fields, ttlSeconds, waitMs) => {
    const { load, dns, clock } = scene({ host_ttl: '1000000s', ...fields });
    load('a.example');
    await dns.answer(...(ttlSeconds === undefined ? [] : [{ ip: '10.0.0.1', ttlSeconds }]));
    clock.advance(waitMs - 1);
    expect(dns.asked).toHaveLength(1);
    clock.advance(1);
    expect(dns.asked).toHaveLength(2);
  });

  it('failures are followed by waits below a bound that doubles', async () => {
    const { load, dns, clock } = scene({
      dns_failure_refresh_rate: { base_interval: '1s', max_interval: '2s' },
    });
    load('a.example');
    for (const bound of [1_000, 2_000, 2_000]) {
      await dns.fail();
      const before = dns.asked.length;
      clock.advance(bound);
      expect(dns.asked.length).toBe(before + 1);
    }
  });

  it('a query that takes too long has failed, and its answer comes too late', async () => {
    const { load, dns, events, counts, clock } = scene({ dns_query_timeout: '3s' });
    load('a.example');
    clock.advance(3_000);
    expect(events).toEqual(['loaded a.example:80 resolve_timeout']);
    expect(counts()).toMatchObject({ dns_query_timeout: 1, dns_query_failure: 1 });
    await dns.answer('10.0.0.1');
    expect(events).toHaveLength(1);
  });

  it('a query may take its time with a timeout of 0', async () => {
    const { load, dns, events, clock } = scene({ dns_query_timeout: '0s' });
    load('a.example');
    clock.advance(3_600_000);
    await dns.answer('10.0.0.1');
    expect(events).toContain('loaded a.example:80 10.0.0.1:80');
  });

  it('a host that is not used goes at its next refresh, one that is used stays', async () => {
    const { load, dns, events, counts, clock } = scene({ host_ttl: '90s' });
    load('a.example');
    await dns.answer('10.0.0.1');
    load('b.example');
    await dns.answer('10.0.0.2');
    const used = load('b.example');
    clock.advance(60_000);
    if (used.kind === 'cached') used.host.touch();
    await dns.answer('10.0.0.1');
    await dns.answer('10.0.0.2');
    events.length = 0;
    clock.advance(60_000);
    expect(events).toEqual(['removed a.example:80 10.0.0.1:80']);
    expect(counts()).toMatchObject({ num_hosts: 1, host_removed: 1, host_added: 2 });
    expect(load('a.example').kind).toBe('loading');
  });

  it('one that never had an address goes without a word', async () => {
    const { load, dns, events, clock, counts } = scene({ host_ttl: '1s', dns_refresh_rate: '2s' });
    load('a.example');
    await dns.answer();
    events.length = 0;
    clock.advance(2_000);
    expect(events).toEqual([]);
    expect(counts()).toMatchObject({ host_removed: 1 });
  });
});

describe('limits', () => {
  it('max_hosts: a further host is not asked for, known ones are', async () => {
    const { load, dns, counts } = scene({ max_hosts: 1 });
    load('a.example');
    await dns.answer('10.0.0.1');
    expect(load('b.example').kind).toBe('host-overflow');
    expect(load('a.example').kind).toBe('cached');
    expect(counts()).toMatchObject({ host_overflow: 1, num_hosts: 1 });
    expect(dns.asked).toHaveLength(1);
  });

  it('max_pending_requests: a further request does not wait', async () => {
    const { load, dns, counts } = scene({ dns_cache_circuit_breaker: { max_pending_requests: 2 } });
    load('a.example');
    load('b.example');
    expect(load('c.example').kind).toBe('pending-overflow');
    expect(counts()).toMatchObject({ dns_rq_pending_overflow: 1, 'circuit_breakers.rq_pending_open': 1 });
    expect(counts()).not.toHaveProperty('circuit_breakers.rq_pending_remaining');
    await dns.answer('10.0.0.1');
    expect(counts()).toMatchObject({ 'circuit_breakers.rq_pending_remaining': 1 });
    expect(counts()).not.toHaveProperty('circuit_breakers.rq_pending_open');
    expect(load('c.example').kind).toBe('loading');
  });

  it('the runtime may set another number', () => {
    const runtime = {
      ...emptyRuntime,
      getInteger: (key: string, fallback: number) =>
        key === 'dns_cache.main.circuit_breakers' ? 0 : fallback,
    };
    expect(scene({}, runtime).load('a.example').kind).toBe('pending-overflow');
  });
});

describe('listeners', () => {
  it('are told what is known already, and with the last of them everything ends', async () => {
    const { cache, load, dns, stop, clock, counts, events } = scene();
    load('a.example');
    await dns.answer('10.0.0.1');
    const seen: string[] = [];
    const stopOther = cache.listen({ onAddress: ({ key }) => seen.push(key), onRemoved: () => {} });
    expect(seen).toEqual(['a.example:80']);
    load('b.example');
    stop();
    stop();
    expect(counts()).toMatchObject({ num_hosts: 2 });
    events.length = 0;
    const closed = dns.closed;
    stopOther();
    // Who still waits is not left hanging.
    expect(events).toEqual(['loaded b.example:80 cache_closed']);
    expect(counts()).toMatchObject({ ...IDLE, host_removed: 2 });
    expect(dns.closed).toBe(closed + 1);
    await dns.answer('10.0.0.2');
    clock.advance(3_600_000);
    expect(dns.asked).toHaveLength(2);
  });

  it('find names that are to be resolved beforehand', async () => {
    const { dns, load, events } = scene({
      preresolve_hostnames: [{ address: 'a.example', port_value: 443 }],
    });
    expect(dns.asked).toEqual(['a.example AUTO']);
    await dns.answer('10.0.0.1');
    expect(events).toEqual(['address a.example:443 10.0.0.1:443']);
    expect(load('a.example', 443).kind).toBe('cached');
  });
});

describe('a cache', () => {
  it('is shared by all that name it on a worker', () => {
    const context = contextWith(new AskedDns());
    const cache = dnsCacheOf(config({ max_hosts: 7 }), context);
    expect(dnsCacheOf(config({ max_hosts: 7 }), { ...context })).toBe(cache);
    expect(dnsCacheOf(config({ name: 'other' }), context)).not.toBe(cache);
    expect(dnsCacheOf(config({ max_hosts: 7 }), contextWith(new AskedDns()))).not.toBe(cache);
    expect(() => dnsCacheOf(config({ max_hosts: 8 }), context)).toThrow(
      'a DNS cache named "main" is there with other settings',
    );
  });
});
