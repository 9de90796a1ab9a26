import { type DnsCacheConfig, DnsCacheConfigSchema, equals } from '@dragoman/api';
import { ConfigError, type FactoryContext } from '@dragoman/core';
import { readDnsCache } from './config.ts';
import { DnsCache } from './dns-cache.ts';

interface Entry {
  readonly config: DnsCacheConfig;
  readonly cache: DnsCache;
}

/** The caches of each worker, by name. A worker is known by its root of stats. */
const CACHES = new WeakMap<object, Map<string, Entry>>();

/**
 * The cache of a config on this worker: filters and clusters that name the same one share it. It is made with the first of them, and
 * stays as long as the worker; without a cluster that listens to it nothing is kept in it.
 *
 * @throws ConfigError, paths relative to the message, also when another config has given that name to a cache with other settings
 */
export function dnsCacheOf(config: DnsCacheConfig, context: FactoryContext): DnsCache {
  let caches = CACHES.get(context.stats.root);
  if (caches === undefined) {
    caches = new Map();
    CACHES.set(context.stats.root, caches);
  }
  const known = caches.get(config.name);
  if (known !== undefined) {
    if (equals(DnsCacheConfigSchema, known.config, config)) return known.cache;
    throw ConfigError.at(
      '',
      `a DNS cache named "${config.name}" is there with other settings: give every place that names it the same ones, or another name`,
    );
  }
  // Whoever is the first to name it may go before others do.
  const lasting = { ...context, stats: context.stats.root };
  const cache = new DnsCache(readDnsCache(config, lasting), lasting);
  caches.set(config.name, { config, cache });
  return cache;
}
