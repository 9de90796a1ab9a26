import { CaresDnsResolverConfigSchema, DnsCacheConfigSchema, readLoose } from '@dragoman/api';
import {
  type DnsResolver,
  type DnsResult,
  defineDnsResolver,
  ExtensionRegistry,
  type Runtime,
  emptyRuntime,
} from '@dragoman/core';
import { FakeClock, MemoryStats, type TestContext, testContext } from '@dragoman/testing';
import { type CachedHost, type DnsCache, type DnsLookup, dnsCacheOf } from '../src/index.ts';

/** Answers when a test says so. */
export class AskedDns implements DnsResolver {
  readonly asked: string[] = [];
  closed = 0;
  private readonly open: ((result: DnsResult) => void)[] = [];

  resolve(name: string, family: string): Promise<DnsResult> {
    this.asked.push(`${name} ${family}`);
    return new Promise((resolve) => this.open.push(resolve));
  }

  /** Answers the oldest question. */
  async answer(...addresses: readonly (string | { ip: string; ttlSeconds: number })[]): Promise<void> {
    await this.settle({
      ok: true,
      addresses: addresses.map((one) => (typeof one === 'string' ? { ip: one, ttlSeconds: 60 } : one)),
    });
  }

  async fail(reason = 'SERVFAIL'): Promise<void> {
    await this.settle({ ok: false, reason });
  }

  get waiting(): number {
    return this.open.length;
  }

  close(): void {
    this.closed++;
  }

  private async settle(result: DnsResult): Promise<void> {
    const resolve = this.open.shift();
    if (resolve === undefined) throw new Error('nobody has asked');
    resolve(result);
    await Promise.resolve();
    await Promise.resolve();
  }
}

export interface CacheScene {
  readonly clock: FakeClock;
  readonly dns: AskedDns;
  readonly cache: DnsCache;
  readonly context: TestContext;
  /** Of the listener, and of who waited. */
  readonly events: string[];
  readonly stop: () => void;
  load(authority: string, defaultPort?: number): DnsLookup;
  /** Those of the cache that are not 0. */
  counts(): Record<string, number>;
}

export function config(fields: object = {}) {
  return readLoose(DnsCacheConfigSchema, { name: 'main', ...fields });
}

export function contextWith(dns: DnsResolver, runtime: Runtime = emptyRuntime): TestContext {
  const resolver = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: () => dns,
  });
  return testContext({
    clock: new FakeClock(),
    stats: new MemoryStats(),
    extensions: new ExtensionRegistry([resolver]),
    runtime,
  });
}

/** A cache that somebody listens to. */
export function scene(fields: object = {}, runtime?: Runtime): CacheScene {
  const dns = new AskedDns();
  const context = contextWith(dns, runtime);
  const cache = dnsCacheOf(config(fields), context);
  const events: string[] = [];
  const note = (what: string) => (host: CachedHost) =>
    events.push(`${what} ${host.key} ${host.address?.text ?? host.failure}`);
  const stop = cache.listen({ onAddress: note('address'), onRemoved: note('removed') });
  return {
    clock: context.clock,
    dns,
    cache,
    context,
    events,
    stop,
    load: (authority, defaultPort = 80) => cache.load(authority, defaultPort, note('loaded')),
    counts: () =>
      Object.fromEntries(
        Object.entries(context.stats.used()).map(([name, value]) => [
          name.replace('dns_cache.main.', ''),
          value,
        ]),
      ),
  };
}
