import type { DnsCacheConfig } from '@dragoman/api';
import {
  type Address,
  atPath,
  type ClusterBalancerContext,
  type EndpointData,
  type Host,
  type LoadBalancer,
  type LoadBalancerContext,
  type OwnHosts,
} from '@dragoman/core';
import { type CachedHost, type DnsCacheListener, dnsCacheOf } from '@dragoman/dns-cache';
import { CACHE_PATH } from './config.ts';
import { namedHost } from './named-host.ts';

interface Entry {
  readonly host: Host;
  readonly cached: CachedHost;
}

/** A host for each one that the cache has an address of. */
export class CachedHostBalancer implements LoadBalancer, DnsCacheListener {
  private readonly hosts: OwnHosts;
  private readonly secure: boolean;
  private readonly byKey = new Map<string, Entry>();
  private readonly stopListening: () => void;

  /** @throws ConfigError, paths relative to the cluster */
  constructor(config: DnsCacheConfig, context: ClusterBalancerContext) {
    this.hosts = context.hosts;
    this.secure = context.info.secure;
    const cache = atPath(CACHE_PATH, () => dnsCacheOf(config, context));
    this.stopListening = cache.listen(this);
  }

  /** Nothing is discovered. */
  update(): void {}

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const key = namedHost(context, this.secure);
    const entry = key === undefined ? undefined : this.byKey.get(key);
    if (entry === undefined) return undefined;
    entry.cached.touch();
    return entry.host;
  }

  close(): void {
    this.stopListening();
  }

  onAddress(cached: CachedHost): void {
    const { key, address } = cached;
    const endpoint: EndpointData = { address: (address as Address).text, hostname: key, weight: 1 };
    const known = this.byKey.get(key);
    if (known === undefined) this.byKey.set(key, { host: this.hosts.add(endpoint), cached });
    else this.hosts.update(known.host, endpoint);
  }

  onRemoved({ key }: CachedHost): void {
    const known = this.byKey.get(key);
    if (known === undefined) return;
    this.byKey.delete(key);
    this.hosts.remove(known.host);
  }
}
