import type {
  ConfigSubscriptions,
  ConfigUpdate,
  DiscoveredResource,
  ResourceReference,
  SubscriptionFailure,
  SubscriptionOptions,
} from '@dragoman/core';

type DescMessage = ResourceReference['type'];

/** A subscription that a test answers. */
export class FakeSubscription {
  readonly options: SubscriptionOptions<DescMessage>;
  /** Wanted by now; undefined: everything. */
  names: readonly string[] | undefined;
  stopped = false;

  constructor(options: SubscriptionOptions<DescMessage>) {
    this.options = options;
    this.names = options.names;
  }

  /** Hands over an update with some defaults: version `1`, nothing removed, not full. Rejects with what the subscriber throws. */
  async update(update: Partial<ConfigUpdate>): Promise<void> {
    await this.options.callbacks.onUpdate({
      changed: [],
      removed: [],
      versionInfo: '1',
      full: false,
      ...update,
    });
  }

  /** {@link update} with resources by name, all of version `1`. */
  resources(byName: Readonly<Record<string, unknown>>): Promise<void> {
    const changed = Object.entries(byName).map(
      ([name, message]) => ({ name, version: '1', message }) as DiscoveredResource,
    );
    return this.update({ changed });
  }

  fail(reason: SubscriptionFailure, details = 'test'): void {
    this.options.callbacks.onFailure(reason, details);
  }
}

/** What was checked without a subscription. */
export interface CheckedSource {
  readonly source: unknown;
  readonly type: DescMessage;
  readonly names: readonly string[] | undefined;
}

/** Keeps what was subscribed to, and what was checked; refuses nothing. */
export class FakeSubscriptions implements ConfigSubscriptions {
  /** In order; also those that were stopped. */
  readonly all: FakeSubscription[] = [];

  /** In order. */
  readonly checked: CheckedSource[] = [];

  get active(): readonly FakeSubscription[] {
    return this.all.filter(({ stopped }) => !stopped);
  }

  check(source: unknown, type: DescMessage, names: readonly string[] | undefined): void {
    this.checked.push({ source, type, names });
  }

  subscribe<D extends DescMessage>(
    options: SubscriptionOptions<D>,
  ): { setNames(names: readonly string[]): void; stop(): void } {
    const subscription = new FakeSubscription(options as unknown as SubscriptionOptions<DescMessage>);
    this.all.push(subscription);
    return {
      setNames: (names) => {
        subscription.names = names;
      },
      stop: () => {
        subscription.stopped = true;
      },
    };
  }
}
