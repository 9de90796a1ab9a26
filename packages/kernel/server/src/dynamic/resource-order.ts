import { createHash } from 'node:crypto';
import { ConfigSourceSchema, type DescMessage, fromBinary, type Message, toBinary } from '@dragoman/api';
import type { ResourceReference } from '@dragoman/core';

/** A version of a resource, as main tells a thread of it. Plain data. */
export interface ResourceOrder {
  readonly key: string;
  /** Serialised; undefined: it was removed. */
  readonly value: Uint8Array | undefined;
}

/** The same for the same resource of the same source, on every thread. */
export function resourceKey({ type, source, name }: ResourceReference): string {
  const bytes = toBinary(ConfigSourceSchema, source as never);
  const digest = createHash('sha1').update(bytes).digest('base64url');
  return `${type.typeName} ${digest} ${name}`;
}

export function readResource(type: DescMessage, value: Uint8Array | undefined): Message | undefined {
  return value === undefined ? undefined : fromBinary(type, value);
}
