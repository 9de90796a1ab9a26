import type { Clock, DnsResolver, FactoryContext, RandomSource, Runtime } from '@dragoman/core';
import { authorityKey } from './authority.ts';
import { type CachedHost, type CachedHostOwner, ResolvedHost } from './cached-host.ts';
import type { DnsCacheSettings } from './config.ts';
import { DnsCacheStats } from './stats.ts';

/** Who keeps hosts of its own for those of a cache. */
export interface DnsCacheListener {
  /** A host has its first address, or another one. */
  onAddress(host: CachedHost): void;
  /** A host that had an address is gone. */
  onRemoved(host: CachedHost): void;
}

/** What comes of asking for a host. */
export type DnsLookup =
  /** The host is known, perhaps without an address. */
  | { readonly kind: 'cached'; readonly host: CachedHost }
  /** `onLoaded` will be called, once, and not before this returns. */
  | { readonly kind: 'loading'; cancel(): void }
  /** `max_hosts` are known already. */
  | { readonly kind: 'host-overflow' }
  /** `max_pending_requests` wait already. */
  | { readonly kind: 'pending-overflow' };

const HOST_OVERFLOW = { kind: 'host-overflow' } as const;
const PENDING_OVERFLOW = { kind: 'pending-overflow' } as const;

/** Hosts that were asked for on this worker, and their addresses. */
export class DnsCache implements CachedHostOwner {
  readonly settings: DnsCacheSettings;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly stats: DnsCacheStats;
  private readonly runtime: Runtime;
  private readonly breakerKey: string;
  private readonly hosts = new Map<string, ResolvedHost>();
  private readonly listeners = new Set<DnsCacheListener>();
  private ownResolver: DnsResolver | undefined = undefined;
  private pending = 0;

  constructor(settings: DnsCacheSettings, { clock, random, runtime, stats }: FactoryContext) {
    const scope = stats.scope(`dns_cache.${settings.name}`);
    this.settings = settings;
    this.clock = clock;
    this.random = random;
    this.runtime = runtime;
    this.stats = new DnsCacheStats(scope);
    this.breakerKey = `dns_cache.${settings.name}.circuit_breakers`;
    this.stats.pendingRemaining.add(this.maxPending);
  }

  /** Made with the first query. */
  get resolver(): DnsResolver {
    this.ownResolver ??= this.settings.createResolver();
    return this.ownResolver;
  }

  /**
   * Tells of every host that has an address, and of what becomes of them. The returned function ends that; with the last listener
   * all hosts go, and nothing is asked any more.
   */
  listen(listener: DnsCacheListener): () => void {
    this.listeners.add(listener);
    for (const host of this.hosts.values()) if (host.address !== undefined) listener.onAddress(host);
    if (this.listeners.size === 1) for (const key of this.settings.preresolve) this.find(key);
    return () => {
      if (this.listeners.delete(listener) && this.listeners.size === 0) this.clear();
    };
  }

  /** @param authority of a request: a host and perhaps a port */
  load(authority: string, defaultPort: number, onLoaded: (host: CachedHost) => void): DnsLookup {
    if (this.pending >= this.maxPending) {
      this.stats.pendingOverflow.inc();
      return PENDING_OVERFLOW;
    }
    const key = authorityKey(authority, defaultPort);
    const known = this.hosts.get(key);
    if (known?.resolved === true) {
      known.touch();
      return { kind: 'cached', host: known };
    }
    if (this.hosts.size >= this.settings.maxHosts) {
      this.stats.hostOverflow.inc();
      return HOST_OVERFLOW;
    }
    return this.wait(this.find(key), onLoaded);
  }

  private wait(host: ResolvedHost, onLoaded: (host: CachedHost) => void): DnsLookup {
    const finish = (): void => {
      if (host.waiting.delete(told)) this.countPending(-1);
    };
    const told = (): void => {
      // Another one that was told may have ended this one's stream.
      if (!host.waiting.has(told)) return;
      finish();
      onLoaded(host);
    };
    host.waiting.add(told);
    this.countPending(1);
    return { kind: 'loading', cancel: finish };
  }

  private find(key: string): ResolvedHost {
    const known = this.hosts.get(key);
    if (known !== undefined) return known;
    const host = new ResolvedHost(key, this);
    this.hosts.set(key, host);
    this.stats.hostAdded.inc();
    this.stats.hosts.inc();
    host.resolve();
    return host;
  }

  // --- Of its hosts ------------------------------------------------------------------------------------------------------

  onAddress(host: ResolvedHost): void {
    for (const listener of this.listeners) listener.onAddress(host);
  }

  onResolved(host: ResolvedHost): void {
    for (const told of [...host.waiting]) told();
  }

  onExpired(host: ResolvedHost): void {
    this.remove(host);
    if (host.address === undefined) return;
    for (const listener of this.listeners) listener.onRemoved(host);
  }

  private remove(host: ResolvedHost): void {
    host.stop();
    this.hosts.delete(host.key);
    this.stats.hostRemoved.inc();
    this.stats.hosts.dec();
  }

  private clear(): void {
    for (const host of [...this.hosts.values()]) {
      this.remove(host);
      host.failure = 'cache_closed';
      this.onResolved(host);
    }
    this.ownResolver?.close();
    this.ownResolver = undefined;
  }

  // --- Those who wait ----------------------------------------------------------------------------------------------------

  private get maxPending(): number {
    return this.runtime.getInteger(this.breakerKey, this.settings.maxPendingRequests);
  }

  private countPending(added: 1 | -1): void {
    const { stats, maxPending } = this;
    const wasOpen = this.pending >= maxPending;
    this.pending += added;
    const isOpen = this.pending >= maxPending;
    if (isOpen !== wasOpen) stats.pendingOpen.add(isOpen ? 1 : -1);
    stats.pendingRemaining.add(-added);
  }
}
