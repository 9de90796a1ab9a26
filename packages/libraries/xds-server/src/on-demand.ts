import type { Node } from '@dragoman/api';
import type { CacheSubscriber, CacheSubscription, Interest, XdsCache } from './cache.ts';

/** What a client asks for and the cache does not have. */
export interface MissingResources {
  readonly node: Node;
  readonly typeUrl: string;
  /** Names that are not there. Empty when the client asks for everything and the cache knows nothing for it. */
  readonly names: readonly string[];
  /** The client asks for everything. */
  readonly wildcard: boolean;
  /** Aborted when the client no longer waits. */
  readonly signal: AbortSignal;
}

export interface OnDemandOptions {
  /** Hears what `load` threw, or rejected with. The client goes on waiting. Default: nobody does. */
  readonly onError?: (error: unknown, missing: MissingResources) => void;
}

/**
 * A cache that is filled as clients ask. `load` is called when a subscription names something that `cache` does not have, at once or
 * after a while it puts that into the cache, and the cache answers. It is called once for a name and subscription: not
 * again while the client goes on asking, but for another client, so share what is under way where that is dear.
 */
export function onDemand(
  cache: XdsCache,
  load: (missing: MissingResources) => void | Promise<void>,
  options: OnDemandOptions = {},
): XdsCache {
  return {
    open(subscriber) {
      const inner = cache.open(subscriber);
      return inner === undefined ? undefined : new OnDemandSubscription(inner, subscriber, load, options);
    },
  };
}

class OnDemandSubscription implements CacheSubscription {
  readonly rules;
  readonly #inner: CacheSubscription;
  readonly #subscriber: CacheSubscriber;
  readonly #load: (missing: MissingResources) => void | Promise<void>;
  readonly #onError: OnDemandOptions['onError'];
  readonly #abort = new AbortController();
  readonly #asked = new Set<string>();
  #askedForAll = false;

  constructor(
    inner: CacheSubscription,
    subscriber: CacheSubscriber,
    load: (missing: MissingResources) => void | Promise<void>,
    { onError }: OnDemandOptions,
  ) {
    this.rules = inner.rules;
    this.#inner = inner;
    this.#subscriber = subscriber;
    this.#load = load;
    this.#onError = onError;
  }

  setInterest(interest: Interest): void {
    this.#inner.setInterest(interest);
    const { wildcard, added, removed } = interest;
    for (const name of removed) this.#asked.delete(name);
    const view = this.#inner.view();
    const missing = added.filter(
      (name) => !this.#asked.has(name) && !(view !== undefined && view.find(name).length > 0),
    );
    const all = wildcard && view === undefined && !this.#askedForAll;
    if (missing.length === 0 && !all) return;
    for (const name of missing) this.#asked.add(name);
    this.#askedForAll ||= all;
    const { node, typeUrl } = this.#subscriber;
    this.#ask({ node, typeUrl, names: missing, wildcard, signal: this.#abort.signal });
  }

  view() {
    return this.#inner.view();
  }

  changes() {
    return this.#inner.changes();
  }

  close(): void {
    this.#inner.close();
    this.#abort.abort();
  }

  #ask(missing: MissingResources): void {
    const failed = (error: unknown): void => {
      if (this.#abort.signal.aborted) return;
      try {
        this.#onError?.(error, missing);
      } catch {
        // Whoever is told of errors has no one to tell of its own.
      }
    };
    try {
      this.#load(missing)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
