import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { ConfigError } from './config-error.ts';

/** What a config names in place of holding it: a resource of a management server or a file. */
export interface ResourceReference<D extends DescMessage = DescMessage> {
  /** The type of the resource, e.g. `RouteConfigurationSchema`. */
  readonly type: D;
  /** An `envoy.config.core.v3.ConfigSource`; typed unknown because contracts know no generated code. */
  readonly source: unknown;
  readonly name: string;
}

/** Somebody on a worker who uses a resource. */
export interface ResourceUser<D extends DescMessage = DescMessage> {
  /**
   * Compiles a new version; what it returns puts it in place and does not throw. It is called only once every user on every worker has compiled it: else
   * the version is refused and the old one stays. Undefined: the resource was removed, which is not refused.
   *
   * @throws ConfigError with paths below the resource
   */
  prepare(resource: MessageShape<D> | undefined): () => void;
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
}

/** Of an assembly that has no dynamic configuration. */
export const noDynamicResources: DynamicResources = {
  watch({ name }) {
    throw ConfigError.at(
      '',
      `"${name}" would come from a config source, and this proxy was put together without them`,
    );
  },
};
