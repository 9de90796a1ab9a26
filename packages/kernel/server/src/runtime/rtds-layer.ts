import {
  type MessageShape,
  type RuntimeLayer_RtdsLayer as RtdsLayerConfig,
  ServiceRuntimeSchema,
} from '@dragoman/api';
import {
  ConfigError,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type ConfigUpdate,
  type DiscoveredResource,
  type StatsScope,
} from '@dragoman/core';
import { flatten } from './flatten.ts';
import { NO_VALUES, type RuntimeLayer } from './layer.ts';

type Update = ConfigUpdate<typeof ServiceRuntimeSchema>;
type Resource = DiscoveredResource<typeof ServiceRuntimeSchema>;

/** A layer that a management server gives (RTDS). Empty until it does. */
export class RtdsLayer implements RuntimeLayer {
  readonly name: string;
  readonly kind = 'rtds';
  readonly active = true;
  values: ReadonlyMap<string, string> = NO_VALUES;
  /** `rtds_layer.name` */
  readonly resource: string;
  private readonly source: RtdsLayerConfig['rtdsConfig'];
  private subscription: ConfigSubscription | undefined = undefined;
  private settle: () => void = () => {};
  private stopped = false;

  /** @throws ConfigError with paths below the RtdsLayer */
  constructor(name: string, config: RtdsLayerConfig) {
    if (config.name === '')
      throw ConfigError.at('name', 'is required: the resource that the layer is made of');
    if (config.rtdsConfig === undefined) throw ConfigError.at('rtds_config', 'is required');
    this.name = name;
    this.resource = config.name;
    this.source = config.rtdsConfig;
  }

  /**
   * Subscribes. Fulfilled with the first update, or once there is none in time, or it is refused; a connection that is not there yet is waited for.
   * @throws ConfigError with paths below the RtdsLayer
   */
  start(subscriptions: ConfigSubscriptions, stats: StatsScope, onChange: () => void): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      this.settle = resolve;
    });
    try {
      const subscription = subscriptions.subscribe({
        source: this.source,
        type: ServiceRuntimeSchema,
        names: [this.resource],
        stats,
        callbacks: {
          onUpdate: (update) => {
            try {
              this.take(update);
              onChange();
            } finally {
              this.settle();
            }
          },
          onFailure: (reason) => {
            if (reason !== 'connection') this.settle();
          },
        },
      });
      // A file may have called back already, and been the end of this proxy.
      if (this.stopped) subscription.stop();
      else this.subscription = subscription;
    } catch (error) {
      throw error instanceof ConfigError ? error.within('rtds_config') : error;
    }
    return settled;
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.stop();
    this.settle();
  }

  /** @throws ConfigError */
  private take({ changed, removed }: Update): void {
    const { resource } = this;
    const [first] = changed;
    const count = changed.length + removed.length;
    if (count !== 1)
      throw ConfigError.at('', `expected the one Runtime "${resource}", found ${count} resources`);
    if (first === undefined) {
      if (removed[0] !== resource)
        throw ConfigError.at('', `expected the Runtime "${resource}", and "${removed[0]}" was removed`);
      this.values = NO_VALUES;
      return;
    }
    if (!isNamed(first, resource))
      throw ConfigError.at('', `expected the Runtime "${resource}", found "${first.name}"`);
    this.values = readLayer(first.message, resource);
  }
}

function isNamed({ name, aliases, message }: Resource, wanted: string): boolean {
  return name === wanted || message.name === wanted || aliases?.includes(wanted) === true;
}

function readLayer(
  { layer }: MessageShape<typeof ServiceRuntimeSchema>,
  resource: string,
): Map<string, string> {
  try {
    return flatten(layer);
  } catch (error) {
    throw error instanceof ConfigError ? error.within(`${resource}: layer`) : error;
  }
}
