import { ListenerSchema } from '@dragoman/api';
import type { DiscoveredResource } from '@dragoman/core';
import type { ListenerManager } from '../listener/listener-manager.ts';
import type { Refusals } from './refusals.ts';
import { nameOf, WildcardDiscovery, type WildcardOptions } from './wildcard-discovery.ts';

export interface LdsOptions extends WildcardOptions {
  readonly listeners: ListenerManager;
}

const LDS = { type: ListenerSchema, label: 'lds', statPrefix: 'listener_manager.lds' } as const;

/** The listeners of a control plane (LDS). */
export class ListenerDiscovery extends WildcardDiscovery<typeof ListenerSchema> {
  private readonly listeners: ListenerManager;

  constructor(options: LdsOptions) {
    super(options, LDS);
    this.listeners = options.listeners;
  }

  protected override get failures(): ListenerManager['failures'] {
    return this.listeners.failures;
  }

  protected override async apply(
    changed: readonly DiscoveredResource<typeof ListenerSchema>[],
    gone: readonly string[],
    versionInfo: string,
    refusals: Refusals,
  ): Promise<readonly Promise<boolean>[]> {
    const { listeners } = this;
    // Removals first: a new listener may want the address of one that goes.
    for (const name of gone) {
      this.names.delete(name);
      await listeners.remove(name);
    }
    const changes: Promise<boolean>[] = [];
    for (const resource of changed) {
      const name = nameOf(resource);
      // As in Envoy: what the bootstrap says of a listener stays.
      if (!this.names.has(name) && listeners.isStatic(name)) continue;
      try {
        const { done } = await listeners.begin(
          named(resource.message, name),
          resource.version || versionInfo,
        );
        this.names.add(name);
        changes.push(done);
        done.catch((error: unknown) => this.lateFailure(name, error));
      } catch (error) {
        refusals.add(resource.name, error);
      }
    }
    return changes;
  }
}

/** A listener without a name of its own bears that of its resource, by which it is removed. */
function named<M extends { readonly name: string }>(message: M, name: string): M {
  return message.name === name ? message : { ...message, name };
}
