import type { Node } from '@dragoman/api';
import type { ResourceView } from './resource-set.ts';

/** What a client has subscribed to of one type. */
export interface Interest {
  /** All resources that are meant for this client. */
  readonly wildcard: boolean;
  /** Besides, or instead, those of these names or aliases. The set is the stream's own, and changes. */
  readonly names: ReadonlySet<string>;
  /** Names that were not there at the last call; so that a name more or less does not cost a look at all of them. */
  readonly added: readonly string[];
  /** Names that were there at the last call and are not now. */
  readonly removed: readonly string[];
}

/** How a cache wants its resources to be sent by the state-of-the-world protocol. */
export interface AnswerRules {
  /** Answers hold only what changed, where the type allows that (all but listeners and clusters). Default false. */
  readonly partial?: boolean;
  /** Equal versions mean equal content even on another stream: a client that reconnects is not sent all again. Default false. */
  readonly resumable?: boolean;
  /** Nothing is sent before every name that was asked for is there. Default false. */
  readonly complete?: boolean;
}

export interface CacheSubscriber {
  /** Of the first request of the stream; `id` is empty when the client has none. */
  readonly node: Node;
  readonly typeUrl: string;
  /** Something that the subscription covers may have changed. Called any number of times, from within changes of the cache. */
  wake(): void;
}

/** One type, as one stream sees it. */
export interface CacheSubscription {
  readonly rules: AnswerRules;
  /** Says what wakes the subscriber from now on. */
  setInterest(interest: Interest): void;
  /** What there is now; undefined when nothing is known for this client, so that it has to wait. */
  view(): ResourceView | undefined;
  /** Names of covered resources that changed, came or went since the last call; undefined when any may have. */
  changes(): ReadonlySet<string> | undefined;
  close(): void;
}

/** Where streams get their resources: what `createXdsServer` serves. Write your own, or take one of this package. */
export interface XdsCache {
  /** Undefined when the cache has nothing to do with the type: the client waits for ever. */
  open(subscriber: CacheSubscriber): CacheSubscription | undefined;
}
