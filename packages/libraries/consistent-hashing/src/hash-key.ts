import type { Host } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/**
 * What a host is hashed by, as a string of bytes: `hash_key` in its metadata under `envoy.lb`, where that is a text that is not empty;
 * else its address or, where asked for, its hostname.
 */
export function hashKey(host: Host, useHostname: boolean): string {
  const own = host.metadata.get('envoy.lb')?.['hash_key'];
  if (typeof own === 'string' && own !== '') return utf8Bytes(own);
  return utf8Bytes(useHostname ? host.hostname : host.address.text);
}
