export { authorityKey, subClusterHost, subClusterName } from './authority.ts';
export type { CachedHost } from './cached-host.ts';
export { dnsCacheOf } from './caches.ts';
export { readDnsCache, type DnsCacheSettings } from './config.ts';
export { DnsCache, type DnsCacheListener, type DnsLookup } from './dns-cache.ts';
