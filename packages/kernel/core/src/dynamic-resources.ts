import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { ConfigError } from './config-error.ts';
import type { Cancellable } from './upstream.ts';

/** What a config names in place of holding it: a resource of a management server or a file. */
export interface ResourceReference<D extends DescMessage = DescMessage> {
  /** The type of the resource, e.g. `RouteConfigurationSchema`. */
  readonly type: D;
  /** An `envoy.config.core.v3.ConfigSource`; typed unknown because contracts know no generated code. */
  readonly source: unknown;
  readonly name: string;
}

/** Several resources of a type, whatever their names. */
export interface ResourceCollection<D extends DescMessage = DescMessage> {
  readonly type: D;
  /** As in {@link ResourceReference}. */
  readonly source: unknown;
  /**
   * Only those named `<namespace>/…` (virtual hosts of a route configuration): the ones that the server gives unasked and the ones
   * that somebody has demanded. Undefined: all of the type.
   */
  readonly namespace?: string | undefined;
  /** The `xdstp://` collection that stands for all of the type; undefined or empty: there is none. */
  readonly locator?: string | undefined;
}

/** Somebody on a worker who uses a resource. */
export interface ResourceUser<D extends DescMessage = DescMessage> {
  /**
   * Compiles a new version; what it returns puts it in place and does not throw. It is called only once every user on every worker has compiled it: else
   * the version is refused and the old one stays. Undefined: the resource was removed, which is not refused.
   *
   * It may register and take back other users, those of resources that the new version names.
   * @throws ConfigError with paths below the resource
   */
  prepare(resource: MessageShape<D> | undefined): () => void;
}

/** Somebody on a worker who uses a collection. */
export interface CollectionUser<D extends DescMessage = DescMessage> {
  /**
   * As {@link ResourceUser.prepare}, with everything there is by now, by resource name. A resource that has not changed is the same object as
   * before; the map is the user's own to keep.
   * @throws ConfigError with paths that begin with `<resource name>: `
   */
  prepare(resources: ReadonlyMap<string, MessageShape<D>>): () => void;
}

export interface ResourceWatch {
  /** The user hears nothing any more. */
  close(): void;
}

/** Resources that arrive and change while the proxy runs, on the threads that use them: main holds the subscriptions. */
export interface DynamicResources {
  /**
   * Registers a user. What is known of the resource is prepared and put in place before this returns; main has waited for it, as long as
   * `initial_fetch_timeout` allows, before it hands out the config that names it.
   *
   * @throws ConfigError of the first `prepare`
   */
  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch;
  /**
   * The same for a collection. Nothing is prepared while nothing is known of it.
   * @throws ConfigError of the first `prepare`
   */
  watchAll<D extends DescMessage>(collection: ResourceCollection<D>, user: CollectionUser<D>): ResourceWatch;
  /**
   * Asks for a resource that no config names: a request needs it (a cluster, a virtual host `<namespace>/<host>`). Main subscribes to it
   * besides what it has, and keeps it.
   *
   * @param onAnswer is called once, never before this returns: with true when the resource is in place on this worker, with false when the server
   * has none of this name or it was refused. Who cannot wait for ever sets a timer and cancels
   */
  demand<D extends DescMessage>(
    reference: ResourceReference<D>,
    onAnswer: (found: boolean) => void,
  ): Cancellable;
}

/** Of an assembly that has no dynamic configuration. */
export const noDynamicResources: DynamicResources = {
  watch: ({ name }) => refuse(`"${name}"`),
  watchAll: ({ type, namespace }) => refuse(namespace === undefined ? type.typeName : `"${namespace}/…"`),
  demand: ({ name }) => refuse(`"${name}"`),
};

function refuse(what: string): never {
  throw ConfigError.at('', `config sources are not wired into this proxy: ${what} cannot come from one`);
}

/** Of who looks at a config without running it: nothing is known, and nothing comes. */
export const unknownResources: DynamicResources = {
  watch: () => ({ close() {} }),
  watchAll: () => ({ close() {} }),
  demand: () => ({ cancel() {} }),
};

/** Dynamic resources for one owner (a listener): whatever was registered through it ends with it. */
export class OwnedResources implements DynamicResources {
  private readonly resources: DynamicResources;
  private readonly watches = new Set<ResourceWatch>();

  constructor(resources: DynamicResources) {
    this.resources = resources;
  }

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    return this.own(this.resources.watch(reference, user));
  }

  watchAll<D extends DescMessage>(collection: ResourceCollection<D>, user: CollectionUser<D>): ResourceWatch {
    return this.own(this.resources.watchAll(collection, user));
  }

  /** Demands are their requests' own. */
  demand<D extends DescMessage>(
    reference: ResourceReference<D>,
    onAnswer: (found: boolean) => void,
  ): Cancellable {
    return this.resources.demand(reference, onAnswer);
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    this.watches.clear();
  }

  private own(watch: ResourceWatch): ResourceWatch {
    this.watches.add(watch);
    return {
      close: () => {
        this.watches.delete(watch);
        watch.close();
      },
    };
  }
}
