import { createHash } from 'node:crypto';
import { ConfigSourceSchema, type DescMessage, fromBinary, type Message, toBinary } from '@dragoman/api';
import type { ResourceCollection, ResourceReference } from '@dragoman/core';

/** A version of a resource or of a collection, as main tells a thread of it. Plain data. */
export type ResourceOrder = SingleOrder | CollectionOrder;

export interface SingleOrder {
  readonly key: string;
  /** Serialised; undefined: it was removed. */
  readonly value: Uint8Array | undefined;
}

/** What has changed since the version that is in place; of one that is new, everything. */
export interface CollectionOrder {
  readonly key: string;
  /** By resource name, serialised. */
  readonly changed: ReadonlyMap<string, Uint8Array>;
  readonly removed: readonly string[];
}

/** The same for the same resource of the same source, on every thread. */
export function resourceKey({ type, source, name }: ResourceReference): string {
  return `${sourceKey(type, source)} ${name}`;
}

export function collectionKey({ type, source, namespace, locator }: ResourceCollection): string {
  const members = namespace === undefined ? locator || '*' : `${namespace}/*`;
  return `${sourceKey(type, source)} all ${members}`;
}

/** A type of one config source. */
export function sourceKey(type: DescMessage, source: unknown): string {
  const bytes = toBinary(ConfigSourceSchema, source as never);
  return `${type.typeName} ${createHash('sha1').update(bytes).digest('base64url')}`;
}

export function readResource(type: DescMessage, value: Uint8Array | undefined): Message | undefined {
  return value === undefined ? undefined : fromBinary(type, value);
}

/** What a thread that has nothing yet is told in place of several orders, one after another. */
export function joinOrders(before: ResourceOrder | undefined, order: ResourceOrder): ResourceOrder {
  if ('value' in order || before === undefined || 'value' in before) return order;
  const changed = new Map(before.changed);
  for (const name of order.removed) changed.delete(name);
  for (const [name, value] of order.changed) changed.set(name, value);
  return { key: order.key, changed, removed: [] };
}
