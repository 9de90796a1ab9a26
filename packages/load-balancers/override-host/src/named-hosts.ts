import type { FilterStateObject, LoadBalancerContext } from '@dragoman/core';
import { metadataValue } from '@dragoman/matching';
import type { Source } from './config.ts';

/** Filter state under which a request's addresses are kept between its tries. */
export const NAMED_HOSTS = 'envoy.extensions.load_balancing_policies.override_host.filter_state';

/** The addresses that a request names, and how many of them have been tried. Read once, before its first try. */
export class NamedHosts implements FilterStateObject {
  /** Envoy's: a request that is redirected internally names its hosts anew. */
  readonly lifeSpan = 'filter-chain';
  private readonly addresses: readonly string[];
  private tried = 0;

  constructor(addresses: readonly string[]) {
    this.addresses = addresses;
  }

  /** The next one; undefined when there are no more. */
  next(): string | undefined {
    const { addresses, tried } = this;
    if (tried === addresses.length) return undefined;
    this.tried = tried + 1;
    return addresses[tried];
  }
}

/** Of every request that names none. */
const NO_HOSTS = new NamedHosts([]);

/** Reads all sources, in their order. */
export function readNamedHosts(sources: readonly Source[], context: LoadBalancerContext): NamedHosts {
  let found: string[] | undefined;
  for (const source of sources) {
    const text = textOf(source, context);
    if (text === undefined) continue;
    for (const part of text.split(',')) {
      const address = part.trim();
      if (address === '') continue;
      found ??= [];
      found.push(address);
    }
  }
  return found === undefined ? NO_HOSTS : new NamedHosts(found);
}

/** Of a header that comes several times, the first; of metadata, only a string. */
function textOf(source: Source, { requestHeaders, info }: LoadBalancerContext): string | undefined {
  if ('header' in source) return requestHeaders?.get(source.header);
  if (info?.hasDynamicMetadata !== true) return undefined;
  const value = metadataValue(info.dynamicMetadata, source.namespace, source.path);
  return typeof value === 'string' ? value : undefined;
}
