import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type {
  Counter,
  DnsAddress,
  DnsLookupFamily,
  DnsResolver,
  DnsResult,
  Gauge,
  StatsScope,
} from '@dragoman/core';
import { CachedFile } from './cached-file.ts';
import { type HostsTable, parseHosts } from './hosts-file.ts';
import { candidates, isDnsName, isLocalhost } from './names.ts';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';

export interface CaresResolverOptions {
  /** `ip:port` of servers. Empty: those of `/etc/resolv.conf`. */
  readonly servers: readonly string[];
  /** Whether {@link servers} are used only when `/etc/resolv.conf` names none. */
  readonly serversAsFallback: boolean;
  readonly useSearchList: boolean;
  /** Leaves out addresses of a family that no interface of the machine but the loopback has. */
  readonly filterUnroutable: boolean;
  /** Milliseconds for the first answer of a server; `options timeout:` of resolv.conf otherwise, else 2,000. */
  readonly timeoutMs?: number;
  /** Queries to each server; `options attempts:` otherwise, else 3. */
  readonly tries?: number;
  /** Default `/etc/hosts`. */
  readonly hostsPath?: string;
  /** Default `/etc/resolv.conf`. */
  readonly resolvConfPath?: string;
}

type Version = 4 | 6;

/** A result that also says whether asking the same servers for another name is worth while. */
type Outcome = DnsResult & { readonly unreachable?: boolean };

const DEFAULT_TIMEOUT_MS = 2_000;
/** c-ares doubles the wait with each try; this is where it stops. */
const MAX_TIMEOUT_MS = 5_000;
const DEFAULT_TRIES = 3;
/** More addresses than this in one answer are nobody's cluster. */
const MAX_ADDRESSES = 1_024;

const LOOPBACK: Readonly<Record<Version, string>> = { 4: '127.0.0.1', 6: '::1' };

class Stats {
  readonly resolveTotal: Counter;
  readonly pending: Gauge;
  readonly notFound: Counter;
  readonly timeout: Counter;
  readonly failure: Counter;

  constructor(scope: StatsScope) {
    this.resolveTotal = scope.counter('resolve_total');
    this.pending = scope.gauge('pending_resolutions');
    this.notFound = scope.counter('not_found');
    this.timeout = scope.counter('timeout');
    this.failure = scope.counter('get_addr_failure');
  }
}

/**
 * Resolves with c-ares (`node:dns`), which asks servers and gives TTLs; `/etc/hosts` and the search list, which it does not know
 * in Node, are read here. Changes of both files are noticed.
 */
export class CaresResolver implements DnsResolver {
  private readonly options: CaresResolverOptions;
  private readonly stats: Stats;
  private readonly hosts: CachedFile<HostsTable>;
  private readonly resolvConf: CachedFile<ResolvConf>;
  private resolver: Resolver | undefined = undefined;
  private configured: ResolvConf | undefined = undefined;
  private closed = false;

  /** @param stats `dns.cares` */
  constructor(options: CaresResolverOptions, stats: StatsScope) {
    this.options = options;
    this.stats = new Stats(stats);
    this.hosts = new CachedFile(options.hostsPath ?? '/etc/hosts', parseHosts);
    this.resolvConf = new CachedFile(options.resolvConfPath ?? '/etc/resolv.conf', parseResolvConf);
  }

  async resolve(name: string, family: DnsLookupFamily): Promise<DnsResult> {
    if (isIP(name) !== 0)
      return { ok: true, addresses: [{ ip: name, ttlSeconds: Number.POSITIVE_INFINITY }] };
    if (!isDnsName(name)) return { ok: false, reason: 'not a DNS name' };
    if (this.closed) return { ok: false, reason: 'cancelled' };
    this.stats.pending.inc();
    try {
      return await this.lookUp(name, family);
    } catch (error) {
      return { ok: false, reason: error instanceof Error ? error.message : String(error) };
    } finally {
      this.stats.pending.dec();
    }
  }

  close(): void {
    this.closed = true;
    this.resolver?.cancel();
  }

  private async lookUp(name: string, family: DnsLookupFamily): Promise<DnsResult> {
    const known = await this.fromFiles(name.toLowerCase().replace(/\.$/, ''), family);
    if (known.length > 0) return { ok: true, addresses: known };
    const conf = await this.resolvConf.read();
    if (this.closed) return { ok: false, reason: 'cancelled' };
    const resolver = this.resolverFor(conf);
    const search = this.options.useSearchList ? conf.search : [];
    let failure: DnsResult | undefined;
    for (const candidate of candidates(name, search, conf.ndots)) {
      const result = await this.query(resolver, candidate, family);
      if (result.ok && result.addresses.length > 0) return result;
      if (!result.ok) failure ??= { ok: false, reason: result.reason };
      // Servers that do not answer will not answer for the next name either (glibc stops here too).
      if (result.unreachable === true) break;
    }
    // A server that failed for one of the names may have known it: that is not "there is no such name".
    return failure ?? { ok: true, addresses: [] };
  }

  private async fromFiles(name: string, family: DnsLookupFamily): Promise<DnsAddress[]> {
    const table = await this.hosts.read();
    let ips = table.get(name);
    if (ips === undefined && isLocalhost(name)) ips = [LOOPBACK[4], LOOPBACK[6]];
    if (ips === undefined) return [];
    const of = (version: Version): DnsAddress[] =>
      ips.filter((ip) => isIP(ip) === version).map((ip) => ({ ip, ttlSeconds: Number.POSITIVE_INFINITY }));
    return firstUseful(family, of);
  }

  private async query(resolver: Resolver, name: string, family: DnsLookupFamily): Promise<Outcome> {
    switch (family) {
      case 'V4_ONLY':
        return this.ask(resolver, name, 4);
      case 'V6_ONLY':
        return this.ask(resolver, name, 6);
      case 'ALL':
        return merge(await Promise.all([this.ask(resolver, name, 4), this.ask(resolver, name, 6)]));
      default: {
        const [preferred, other] = order(family);
        const first = await this.ask(resolver, name, preferred);
        if (first.ok && first.addresses.length > 0) return first;
        return merge([first, await this.ask(resolver, name, other)]);
      }
    }
  }

  /** One query. No records, or no such name, is an empty answer. */
  private async ask(resolver: Resolver, name: string, version: Version): Promise<Outcome> {
    // Closed while the query before this one was under way: no further one goes out.
    if (this.closed) return { ok: false, reason: 'cancelled', unreachable: true };
    const { stats } = this;
    stats.resolveTotal.inc();
    try {
      const records =
        version === 4
          ? await resolver.resolve4(name, { ttl: true })
          : await resolver.resolve6(name, { ttl: true });
      const addresses = records
        .slice(0, MAX_ADDRESSES)
        .filter(({ address }) => isIP(address) === version)
        .map(({ address, ttl }) => ({ ip: address, ttlSeconds: Math.max(0, ttl) }));
      return { ok: true, addresses: this.routable(version) ? addresses : [] };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      if (code === 'ENOTFOUND' || code === 'ENODATA') {
        stats.notFound.inc();
        return { ok: true, addresses: [] };
      }
      if (code === 'ETIMEOUT') stats.timeout.inc();
      else if (code !== 'ECANCELLED') stats.failure.inc();
      return { ok: false, reason: describe(code), unreachable: UNREACHABLE.has(code) };
    }
  }

  private routable(version: Version): boolean {
    if (!this.options.filterUnroutable) return true;
    const family = version === 4 ? 'IPv4' : 'IPv6';
    return Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some((address) => !address.internal && address.family === family),
    );
  }

  /** A resolver for the servers of now: c-ares may not be given others while it has queries under way. */
  private resolverFor(conf: ResolvConf): Resolver {
    const { options } = this;
    if (this.resolver !== undefined && this.configured === conf) return this.resolver;
    const resolver = new Resolver({
      timeout: options.timeoutMs ?? (conf.timeoutS === undefined ? DEFAULT_TIMEOUT_MS : conf.timeoutS * 1000),
      maxTimeout: MAX_TIMEOUT_MS,
      tries: options.tries ?? conf.attempts ?? DEFAULT_TRIES,
    });
    const own = options.servers.length > 0 && !(options.serversAsFallback && conf.nameservers.length > 0);
    const servers = own ? options.servers : conf.nameservers;
    if (servers.length > 0) resolver.setServers(servers);
    this.resolver = resolver;
    this.configured = conf;
    return resolver;
  }
}

function order(family: DnsLookupFamily): readonly [Version, Version] {
  return family === 'V4_PREFERRED' ? [4, 6] : [6, 4];
}

/** What a family choice takes of addresses that are all known. */
function firstUseful(family: DnsLookupFamily, of: (version: Version) => DnsAddress[]): DnsAddress[] {
  if (family === 'V4_ONLY') return of(4);
  if (family === 'V6_ONLY') return of(6);
  if (family === 'ALL') return [...of(4), ...of(6)];
  const [preferred, other] = order(family);
  const first = of(preferred);
  return first.length > 0 ? first : of(other);
}

/** Addresses of any that has some; else the failure of one that failed; else nothing. */
function merge(results: readonly Outcome[]): Outcome {
  const addresses = results.flatMap((result) => (result.ok ? result.addresses : []));
  if (addresses.length > 0) return { ok: true, addresses };
  return results.find((result) => !result.ok) ?? { ok: true, addresses: [] };
}

const UNREACHABLE: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECONNREFUSED', 'ECANCELLED']);

const CODES: Readonly<Record<string, string>> = {
  ETIMEOUT: 'the DNS servers did not answer in time',
  ESERVFAIL: 'a DNS server failed (SERVFAIL)',
  EREFUSED: 'a DNS server refused the query',
  EFORMERR: 'a DNS server could not read the query (FORMERR)',
  EBADRESP: 'a DNS server sent a broken answer',
  ECONNREFUSED: 'no DNS server could be reached',
  ECANCELLED: 'cancelled',
};

function describe(code: string): string {
  return CODES[code] ?? `DNS error ${code}`;
}
