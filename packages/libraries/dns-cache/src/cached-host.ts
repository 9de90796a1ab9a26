import {
  Address,
  type DnsAddress,
  type DnsResolver,
  type DnsResult,
  type Clock,
  type RandomSource,
  type Timer,
} from '@dragoman/core';
import { FailureBackOff, MAX_WAIT_MS } from '@dragoman/endpoints';
import { parseAuthority } from './authority.ts';
import type { DnsCacheSettings } from './config.ts';
import type { DnsCacheStats } from './stats.ts';

/** A host of a cache, as its users see it. */
export interface CachedHost {
  /** `host:port`, as {@link authorityKey} makes it. */
  readonly key: string;
  /** Undefined: no query has found any. The last one that was found stays, whatever comes after it. */
  readonly address: Address | undefined;
  /** Why there is no address. */
  readonly failure: string;
  /** It is used: `host_ttl` begins anew. */
  touch(): void;
}

/** Who is told what became of a host. */
export interface CachedHostOwner {
  readonly settings: DnsCacheSettings;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly stats: DnsCacheStats;
  readonly resolver: DnsResolver;
  onAddress(host: ResolvedHost): void;
  /** The first query is over. */
  onResolved(host: ResolvedHost): void;
  /** Nobody has used it for too long. */
  onExpired(host: ResolvedHost): void;
}

/** Resolves one name again and again, as long as it is used. */
export class ResolvedHost implements CachedHost {
  readonly key: string;
  address: Address | undefined = undefined;
  failure = '';
  /** The first query is over, whatever came of it. */
  resolved = false;
  /** Who waits for that. */
  readonly waiting = new Set<() => void>();
  private readonly owner: CachedHostOwner;
  private readonly name: string;
  private readonly port: number;
  private readonly refreshTimer: Timer;
  private readonly timeoutTimer: Timer;
  private readonly backOff: FailureBackOff;
  private lastUsed: number;
  /** Of the query under way: the answer to another one comes too late. */
  private query = 0;
  private stopped = false;

  constructor(key: string, owner: CachedHostOwner) {
    const { host, port } = parseAuthority(key);
    const { clock, random, settings } = owner;
    this.key = key;
    this.owner = owner;
    this.name = host;
    this.port = port ?? 0;
    this.refreshTimer = clock.timer(() => this.refresh());
    this.timeoutTimer = clock.timer(() => this.onTimeout());
    this.backOff = new FailureBackOff(settings.failure, settings.refreshMs, random);
    this.lastUsed = clock.now();
  }

  touch(): void {
    this.lastUsed = this.owner.clock.now();
  }

  resolve(): void {
    const { settings, stats, resolver } = this.owner;
    const query = ++this.query;
    stats.queryAttempt.inc();
    if (settings.queryTimeoutMs > 0) this.timeoutTimer.enable(settings.queryTimeoutMs);
    resolver.resolve(this.name, settings.family).then(
      (result) => this.onResult(query, result),
      (error: unknown) => this.onResult(query, { ok: false, reason: String(error) }),
    );
  }

  /** Nothing comes of it any more. */
  stop(): void {
    this.stopped = true;
    this.query++;
    this.refreshTimer.disable();
    this.timeoutTimer.disable();
  }

  private refresh(): void {
    const { clock, settings } = this.owner;
    if (clock.now() - this.lastUsed > settings.hostTtlMs) this.owner.onExpired(this);
    else this.resolve();
  }

  private onTimeout(): void {
    this.owner.stats.queryTimeout.inc();
    this.onResult(this.query, { ok: false, reason: 'resolve_timeout' });
  }

  private onResult(query: number, result: DnsResult): void {
    if (query !== this.query) return;
    this.query++;
    const { stats } = this.owner;
    this.timeoutTimer.disable();
    (result.ok ? stats.querySuccess : stats.queryFailure).inc();
    const wait = result.ok ? this.take(result.addresses) : this.takeFailure(result.reason);
    if (this.stopped) return;
    // However long its answer may be kept, a host that nobody asks for gives up its place after host_ttl.
    this.refreshTimer.enable(Math.min(wait, MAX_WAIT_MS, this.owner.settings.hostTtlMs + 1));
    if (this.resolved) return;
    this.resolved = true;
    this.owner.onResolved(this);
  }

  /** @returns the wait until the next query */
  private take(addresses: readonly DnsAddress[]): number {
    const { settings, stats } = this.owner;
    this.backOff.reset();
    if (addresses.length === 0) {
      if (this.address === undefined) this.failure = 'no_addresses';
      return settings.refreshMs;
    }
    const [{ ip, ttlSeconds }] = addresses;
    const address = Address.ip(ip, this.port);
    if (this.address?.text !== address.text) {
      this.address = address;
      this.failure = '';
      stats.addressChanged.inc();
      this.owner.onAddress(this);
    }
    return Number.isFinite(ttlSeconds)
      ? Math.max(settings.minRefreshMs, ttlSeconds * 1000)
      : settings.refreshMs;
  }

  private takeFailure(reason: string): number {
    // What was found before is better than nothing.
    if (this.address === undefined) this.failure = reason;
    return this.backOff.next();
  }
}
