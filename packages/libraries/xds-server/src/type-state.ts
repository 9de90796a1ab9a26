import type { Node } from '@dragoman/api';
import type { Clock } from '@dragoman/core';
import type { Acknowledgement, Rejection } from './callbacks.ts';
import type { CacheSubscription } from './cache.ts';
import { XdsError } from './errors.ts';
import type { NameBudget, XdsLimits } from './limits.ts';

/** One type on one stream: takes its requests, knows what the client has, and makes the next response. */
export interface TypeState<In, Out> {
  /** @throws XdsError beyond a limit */
  receive(request: In): void;
  /** What to send now with this nonce; undefined when there is nothing, or the client has to speak first. */
  answer(nonce: string): Out | undefined;
  close(): void;
  status(): TypeStatus;
}

/** Where a client stands with one type. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly wildcard: boolean;
  /** Names that the client asks for. */
  readonly names: number;
  /** Of the response that was sent last. */
  readonly sentVersion: string | undefined;
  /** Of the response that the client accepted last. */
  readonly ackedVersion: string | undefined;
  /** Of the last response, when the client rejected that. */
  readonly error: string | undefined;
}

/** What a {@link TypeState} is made of. */
export interface TypeContext {
  readonly typeUrl: string;
  readonly node: Node;
  /** Undefined for a type that the cache has nothing to do with. */
  readonly subscription: CacheSubscription | undefined;
  readonly clock: Clock;
  readonly limits: XdsLimits;
  /** Of the stream. */
  readonly budget: NameBudget;
  wake(): void;
  onAck(ack: Acknowledgement): void;
  onNack(nack: Rejection): void;
}

/** Whether a client can do with TTLs, of this protocol. */
export function takesTtl(node: Node, protocol: 'sotw' | 'delta'): boolean {
  const { clientFeatures } = node;
  if (!clientFeatures.includes('xds.config.supports-resource-ttl')) return false;
  return protocol === 'delta' || clientFeatures.includes('xds.config.supports-resource-in-sotw');
}

/** @throws XdsError when there are too many names, or one is too long */
export function checkNames(names: readonly string[], limits: XdsLimits): void {
  if (names.length > limits.namesPerType) throw tooManyNames(limits);
  for (const name of names) checkLength(name, 'a resource name', limits);
}

/** @throws XdsError when a text is too long */
export function checkLength(text: string, what: string, { nameLength }: XdsLimits): void {
  if (text.length <= nameLength) return;
  throw new XdsError(
    'RESOURCE_EXHAUSTED',
    `${what} has ${text.length} characters, at most ${nameLength} are allowed`,
  );
}

export function tooManyNames({ namesPerType }: XdsLimits): XdsError {
  return new XdsError('RESOURCE_EXHAUSTED', `more than ${namesPerType} resource names for one type`);
}
