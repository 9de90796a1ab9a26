import {
  type Cluster,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  LedsClusterLocalityConfigSchema,
  toBinary,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ConfigSubscription,
  type ConfigUpdate,
  type Counter,
  defineDiscovery,
  type Discovery,
  type DiscoveryContext,
  type DiscoveryListener,
  type HostListUpdate,
  inResource,
  sameDrops,
  type SubscriptionFailure,
  type Timer,
} from '@dragoman/core';
import { type AssignedLocality, type Assignment, toAssignment } from './assignment.ts';
import { EndpointCollection } from './collection.ts';
import { type EdsConfig, readEdsConfig } from './config.ts';
import { NO_HOSTS, sameHosts, toHostList } from './host-list.ts';
import { fewOf } from './refusals.ts';

type Collections = ReadonlyMap<string, EndpointCollection>;

const SOURCE = 'eds_cluster_config.eds_config';

/** The hosts that a management server or a file assigns to a cluster. */
class EdsDiscovery implements Discovery {
  private readonly config: EdsConfig;
  private readonly context: DiscoveryContext;
  private readonly local: boolean;
  private readonly staleTimer: Timer;
  private readonly noRebuild: Counter;
  private readonly stale: Counter;
  private readonly timesReceived: Counter;
  private listener: DiscoveryListener | undefined = undefined;
  private subscription: ConfigSubscription | undefined = undefined;
  private assignment: Assignment | undefined = undefined;
  /** By what a locality says of its collection. */
  private collections: Collections = new Map();
  /** An assignment is being put in place of another: collections that answer at once wait for that. */
  private assigning = false;
  private published: HostListUpdate | undefined = undefined;

  constructor(cluster: Cluster, context: DiscoveryContext) {
    this.config = readEdsConfig(cluster);
    this.context = context;
    this.local = cluster.name === context.localInfo.localClusterName;
    this.staleTimer = context.clock.timer(() => this.onStale());
    const { clusterScope, subscriptions } = context;
    const { source, serviceName } = this.config;
    atPath(SOURCE, () => subscriptions.check(source, ClusterLoadAssignmentSchema, [serviceName]));
    this.noRebuild = clusterScope.counter('update_no_rebuild');
    this.stale = clusterScope.counter('assignment_stale');
    this.timesReceived = clusterScope.counter('assignment_timeout_received');
  }

  /** @throws ConfigError for a source that there is not */
  start(listener: DiscoveryListener): void {
    this.listener = listener;
    const { source, serviceName } = this.config;
    this.subscription = atPath(SOURCE, () =>
      this.context.subscriptions.subscribe({
        source,
        type: ClusterLoadAssignmentSchema,
        names: [serviceName],
        stats: this.context.clusterScope,
        callbacks: {
          onUpdate: (update) => this.onUpdate(update),
          onFailure: (reason, details) => this.onFailure(reason, details),
        },
      }),
    );
    // A file may have been read, and the cluster been given up, meanwhile.
    if (this.stopped) this.subscription.stop();
  }

  stop(): void {
    this.listener = undefined;
    this.staleTimer.disable();
    this.subscription?.stop();
    for (const collection of this.collections.values()) collection.stop();
    this.collections = new Map();
  }

  private get stopped(): boolean {
    return this.listener === undefined;
  }

  // --- The subscription ------------------------------------------------------------------------------------------------

  private onUpdate({ changed }: ConfigUpdate<typeof ClusterLoadAssignmentSchema>): void {
    const { serviceName } = this.config;
    if (this.stopped) return;
    const [resource] = changed;
    if (resource === undefined) {
      // As in Envoy the hosts stay until their cluster goes, or an assignment says that there are none.
      this.listener?.onFailure(`the server has no endpoints named "${serviceName}" (any more)`);
      return;
    }
    if (changed.length > 1)
      throw ConfigError.at(resource.name, `came with ${changed.length - 1} others; only one was asked for`);
    try {
      inResource(resource.name, () =>
        this.assign(toAssignment(resource.message, { serviceName, local: this.local })),
      );
    } catch (error) {
      throw error instanceof ConfigError ? fewOf(error.problems) : error;
    }
  }

  private onFailure(reason: SubscriptionFailure, details: string): void {
    // A stream may still come, and with it the endpoints: that is waited for until initial_fetch_timeout.
    if (reason !== 'connection') this.listener?.onFailure(`${FAILURES[reason]}: ${details}`);
  }

  // --- The assignment --------------------------------------------------------------------------------------------------

  /** @throws ConfigError when a collection cannot be subscribed to; everything is as before then */
  private assign(assignment: Assignment): void {
    this.assigning = true;
    try {
      this.collections = this.replaceCollections(assignment);
    } finally {
      this.assigning = false;
    }
    this.assignment = assignment;
    this.staleTimer.disable();
    if (assignment.staleAfterMs > 0) {
      this.timesReceived.inc();
      this.staleTimer.enable(assignment.staleAfterMs);
    }
    this.publishIfComplete();
  }

  private onStale(): void {
    const dropOverload = this.assignment?.policy.dropOverload;
    this.assign({
      localities: [],
      policy: dropOverload === undefined ? {} : { dropOverload },
      staleAfterMs: 0,
    });
    this.stale.inc();
  }

  /** Keeps those that are wanted still, begins new ones, ends the others. */
  private replaceCollections({ localities }: Assignment): Collections {
    const before = this.collections;
    const after = new Map<string, EndpointCollection>();
    try {
      for (const { leds, path } of localities) {
        if (leds === undefined) continue;
        const key = collectionKey(leds);
        const known = after.get(key) ?? before.get(key);
        after.set(
          key,
          known ?? atPath(`${path}.leds_cluster_locality_config.leds_config`, () => this.begin(leds)),
        );
      }
    } catch (error) {
      stopUnless(after, before);
      throw error;
    }
    stopUnless(before, after);
    return after;
  }

  private begin(leds: NonNullable<AssignedLocality['leds']>): EndpointCollection {
    return new EndpointCollection(leds, this.context, () => this.publishIfComplete());
  }

  /** Not before each collection has had its first list: hosts would seem to be gone. */
  private publishIfComplete(): void {
    const { assignment, collections, assigning, listener } = this;
    if (assignment === undefined || assigning || listener === undefined) return;
    for (const { ready } of collections.values()) if (!ready) return;
    const list = toHostList(assignment, ({ leds, endpoints }) =>
      leds === undefined ? endpoints : (collections.get(collectionKey(leds))?.endpoints ?? []),
    );
    const before = this.published ?? NO_HOSTS;
    const same = sameHosts(before, list);
    if (same) this.noRebuild.inc();
    if (same && this.published !== undefined && sameDrops(before, list)) return;
    this.published = list;
    listener.onHosts(list);
  }
}

const FAILURES = {
  timeout: 'none came in time',
  rejected: 'what came was refused',
} as const satisfies Record<Exclude<SubscriptionFailure, 'connection'>, string>;

function collectionKey(leds: NonNullable<AssignedLocality['leds']>): string {
  return Buffer.from(toBinary(LedsClusterLocalityConfigSchema, leds)).toString('latin1');
}

function stopUnless(collections: Collections, wanted: Collections): void {
  for (const [key, collection] of collections) if (wanted.get(key) !== collection) collection.stop();
}

/** Endpoints by discovery service: hosts that come and go by a management server's word, or a file's. */
export const eds = defineDiscovery({
  name: 'envoy.cluster.eds',
  clusterType: 'EDS',
  cluster: ClusterSchema,
  create: (cluster, context) => new EdsDiscovery(cluster, context),
});
