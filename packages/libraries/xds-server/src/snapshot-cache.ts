import type { Node } from '@dragoman/api';
import { type Clock, ConfigError, systemClock } from '@dragoman/core';
import type { AnswerRules, CacheSubscriber, CacheSubscription, XdsCache } from './cache.ts';
import type { ResourceView } from './resource-set.ts';
import type { Snapshot } from './snapshot.ts';

export interface SnapshotCacheOptions {
  /** Which snapshot a client gets: the key of `setSnapshot`. Default: `node.id`. */
  readonly nodeKey?: (node: Node) => string;
  /**
   * What `setSnapshot` refuses: `references` whatever is referred to and not there, `exact` also what nothing refers to
   * (as go-control-plane's `Consistent`), `none` nothing. Default `references`.
   */
  readonly check?: 'references' | 'exact' | 'none';
  /**
   * State of the world: hold an answer until every name that the client asks for is in the snapshot. After an update
   * that removes a cluster, its client then is sent endpoints only once it has stopped asking for that cluster's.
   * Default false.
   */
  readonly ads?: boolean;
  /** For `lastAsked`. Default: the system's. */
  readonly clock?: Clock;
}

/** What is known of the clients of one key. */
export interface NodeStatus {
  /** Of the client that came last. */
  readonly node: Node;
  /** Subscriptions that are open: one a type and stream. */
  readonly subscriptions: number;
  /** When one of them last changed what it asks for, in milliseconds since the Unix epoch. */
  readonly lastAsked: number;
}

/** A snapshot for each client, or group of clients; whoever is connected is told of what changed. */
export class SnapshotCache implements XdsCache {
  readonly #options: SnapshotCacheOptions;
  readonly #clock: Clock;
  readonly #groups = new Map<string, Group>();

  constructor(options: SnapshotCacheOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Replaces the snapshot of a key and wakes its clients.
   * @throws ConfigError when the snapshot is not consistent (see `check`); the former one stays
   */
  setSnapshot(key: string, snapshot: Snapshot): void {
    const check = this.#options.check ?? 'references';
    if (check !== 'none') {
      const problems = snapshot.problems().filter(({ what }) => check === 'exact' || what === 'missing');
      if (problems.length > 0)
        throw new ConfigError(problems.map(({ kind, message }) => ({ path: kind, message })));
    }
    const group = this.#group(key);
    group.snapshot = snapshot;
    for (const one of group.subscriptions) one.subscriber.wake();
  }

  getSnapshot(key: string): Snapshot | undefined {
    return this.#groups.get(key)?.snapshot;
  }

  /** Forgets a snapshot. Clients keep what they have, and wait for the next. */
  clearSnapshot(key: string): void {
    const group = this.#groups.get(key);
    if (group === undefined) return;
    group.snapshot = undefined;
    this.#tidy(key, group);
  }

  /** Keys that have a snapshot or a client. */
  keys(): readonly string[] {
    return [...this.#groups.keys()];
  }

  /** Undefined when no client of the key is connected. */
  status(key: string): NodeStatus | undefined {
    const group = this.#groups.get(key);
    if (group?.node === undefined || group.subscriptions.size === 0) return undefined;
    return { node: group.node, subscriptions: group.subscriptions.size, lastAsked: group.lastAsked };
  }

  open(subscriber: CacheSubscriber): CacheSubscription {
    const key = (this.#options.nodeKey ?? idOf)(subscriber.node);
    const group = this.#group(key);
    group.node = subscriber.node;
    const rules: AnswerRules = { resumable: true, complete: this.#options.ads ?? false };
    const subscription = new SnapshotSubscription(subscriber, group, rules, {
      asked: () => {
        group.lastAsked = this.#clock.wallTime();
      },
      closed: () => this.#tidy(key, group),
    });
    group.subscriptions.add(subscription);
    return subscription;
  }

  #group(key: string): Group {
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { snapshot: undefined, node: undefined, lastAsked: 0, subscriptions: new Set() };
      this.#groups.set(key, group);
    }
    return group;
  }

  #tidy(key: string, group: Group): void {
    if (group.snapshot === undefined && group.subscriptions.size === 0) this.#groups.delete(key);
  }
}

const idOf = (node: Node): string => node.id;

const NOTHING: ReadonlySet<string> = new Set();

interface Group {
  snapshot: Snapshot | undefined;
  node: Node | undefined;
  lastAsked: number;
  readonly subscriptions: Set<SnapshotSubscription>;
}

interface Events {
  asked(): void;
  closed(): void;
}

class SnapshotSubscription implements CacheSubscription {
  readonly subscriber: CacheSubscriber;
  readonly rules: AnswerRules;
  readonly #group: Group;
  readonly #events: Events;
  #seen: ResourceView | undefined;

  constructor(subscriber: CacheSubscriber, group: Group, rules: AnswerRules, events: Events) {
    this.subscriber = subscriber;
    this.#group = group;
    this.rules = rules;
    this.#events = events;
  }

  setInterest(): void {
    this.#events.asked();
  }

  view(): ResourceView | undefined {
    return this.#group.snapshot?.view(this.subscriber.typeUrl);
  }

  /** Whatever is in another snapshot may be different; of the same one, nothing is. */
  changes(): ReadonlySet<string> | undefined {
    const view = this.view();
    if (view === this.#seen) return NOTHING;
    this.#seen = view;
    return undefined;
  }

  close(): void {
    if (this.#group.subscriptions.delete(this)) this.#events.closed();
  }
}
