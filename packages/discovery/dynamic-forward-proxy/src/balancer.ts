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
  type StreamInfo,
} from '@dragoman/core';
import { authorityKey, type CachedHost, type DnsCacheListener, dnsCacheOf } from '@dragoman/dns-cache';
import { CACHE_PATH } from './config.ts';

/** Filter state by which filters name the host and its port; the names are Envoy's. */
const DYNAMIC_HOST = 'envoy.upstream.dynamic_host';
const DYNAMIC_PORT = 'envoy.upstream.dynamic_port';
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
const MAX_PORT = 65_535;
const WHOLE = /^[0-9]{1,5}$/;

interface Entry {
  readonly host: Host;
  readonly cached: CachedHost;
}

/** A host for each one that the cache has an address of. */
export class DynamicForwardProxyBalancer implements LoadBalancer, DnsCacheListener {
  private readonly hosts: OwnHosts;
  private readonly defaultPort: number;
  private readonly byKey = new Map<string, Entry>();
  private readonly stopListening: () => void;

  /** @throws ConfigError, paths relative to the cluster */
  constructor(config: DnsCacheConfig, context: ClusterBalancerContext) {
    this.hosts = context.hosts;
    this.defaultPort = context.info.secure ? HTTPS_PORT : HTTP_PORT;
    const cache = atPath(CACHE_PATH, () => dnsCacheOf(config, context));
    this.stopListening = cache.listen(this);
  }

  /** Nothing is discovered. */
  update(): void {}

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    if (context === undefined) return undefined;
    const { info, requestHeaders } = context;
    const name =
      stateText(info, DYNAMIC_HOST) ??
      requestHeaders?.authority ??
      info?.connection.requestedServerName ??
      '';
    if (name === '') return undefined;
    const entry = this.byKey.get(authorityKey(name, dynamicPort(info) ?? this.defaultPort));
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

function stateText(info: StreamInfo | undefined, key: string): string | undefined {
  return info?.hasFilterState === true ? info.filterState.get(key)?.toText?.() : undefined;
}

function dynamicPort(info: StreamInfo | undefined): number | undefined {
  const text = stateText(info, DYNAMIC_PORT);
  if (text === undefined || !WHOLE.test(text)) return undefined;
  const port = Number(text);
  return port > 0 && port <= MAX_PORT ? port : undefined;
}
