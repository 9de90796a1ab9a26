import { LbEndpointSchema, type LedsClusterLocalityConfig } from '@dragoman/api';
import {
  type ConfigSubscription,
  type ConfigUpdate,
  type DiscoveryContext,
  type EndpointData,
  inResource,
  ProblemCollector,
  type SubscriptionFailure,
} from '@dragoman/core';
import { endpointByAddress, readLbEndpoint } from '@dragoman/endpoints';
import { fewOf } from './refusals.ts';

/** The endpoints of a locality that come one by one (LEDS). */
export class EndpointCollection {
  private readonly byName = new Map<string, EndpointData>();
  private readonly subscription: ConfigSubscription;
  private readonly onChange: () => void;
  private complete = false;

  /**
   * Subscribes at once.
   *
   * @param onChange there is a new list; only once when the first one does not come
   * @throws ConfigError with a path below the message
   */
  constructor(config: LedsClusterLocalityConfig, context: DiscoveryContext, onChange: () => void) {
    this.onChange = onChange;
    this.subscription = context.subscriptions.subscribe({
      source: config.ledsConfig,
      type: LbEndpointSchema,
      names: [config.ledsCollectionName],
      stats: context.clusterScope.scope('leds'),
      callbacks: {
        onUpdate: (update) => this.onUpdate(update),
        onFailure: (reason) => this.onFailure(reason),
      },
    });
  }

  /** False until the first list, or the failure to get it. */
  get ready(): boolean {
    return this.complete;
  }

  get endpoints(): Iterable<EndpointData> {
    return this.byName.values();
  }

  stop(): void {
    this.subscription.stop();
  }

  private onUpdate({ changed, removed, full }: ConfigUpdate<typeof LbEndpointSchema>): void {
    const news = readAll(changed);
    const same = changed.length === 0 && removed.length === 0 && (!full || this.byName.size === 0);
    if (full) this.byName.clear();
    for (const name of removed) this.byName.delete(name);
    for (const [name, endpoint] of news) this.byName.set(name, endpoint);
    if (same && this.complete) return;
    this.complete = true;
    this.onChange();
  }

  private onFailure(reason: SubscriptionFailure): void {
    // Without a stream it is still waited for: until initial_fetch_timeout.
    if (this.complete || reason === 'connection') return;
    this.complete = true;
    this.onChange();
  }
}

/** @throws ConfigError with every problem: then none is taken over */
function readAll(
  changed: ConfigUpdate<typeof LbEndpointSchema>['changed'],
): [name: string, endpoint: EndpointData][] {
  const problems = new ProblemCollector();
  const read = changed.flatMap(({ name, message }): [string, EndpointData][] => {
    const endpoint = problems.try('', () =>
      inResource(name, () => endpointByAddress(readLbEndpoint(message, ''), 'EDS')),
    );
    return endpoint === undefined ? [] : [[name, endpoint]];
  });
  if (problems.problems.length > 0) throw fewOf(problems.problems);
  return read;
}
