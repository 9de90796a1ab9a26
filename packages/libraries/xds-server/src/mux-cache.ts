import type { Node } from '@dragoman/api';
import type { CacheSubscriber, CacheSubscription, XdsCache } from './cache.ts';
import { typeUrlOf } from './kinds.ts';

export interface MuxCacheOptions {
  /** Caches by type URL, or by names such as `endpoints`. */
  readonly caches?: Readonly<Record<string, XdsCache>>;
  /** Chooses for a client and type before `caches` is looked at; undefined: does not care. */
  readonly route?: (typeUrl: string, node: Node) => XdsCache | undefined;
  /** For types that none of the above has. Default: clients wait. */
  readonly fallback?: XdsCache;
}

/** Several caches as one: for each type, or for each client and type, another. */
export class MuxCache implements XdsCache {
  readonly #caches: ReadonlyMap<string, XdsCache>;
  readonly #route: MuxCacheOptions['route'];
  readonly #fallback: XdsCache | undefined;

  constructor({ caches = {}, route, fallback }: MuxCacheOptions) {
    this.#caches = new Map(Object.entries(caches).map(([type, cache]) => [typeUrlOf(type), cache]));
    this.#route = route;
    this.#fallback = fallback;
  }

  open(subscriber: CacheSubscriber): CacheSubscription | undefined {
    const { typeUrl, node } = subscriber;
    const cache = this.#route?.(typeUrl, node) ?? this.#caches.get(typeUrl) ?? this.#fallback;
    return cache?.open(subscriber);
  }
}
