import type { EndpointData, HostListPolicy, HostListUpdate, Locality } from '@dragoman/core';
import type { EndpointColumns, WireMetadata } from './host-list-columns.ts';

/** A host list on its way to the workers: whole, or as what changed. Plain data; one message serves any number of threads. */
export interface HostListMessage {
  /** 1 for the first list of a publisher, one more for each that differs from the one before. */
  readonly version: number;
  /** The version that this is a change of; undefined for a whole list. */
  readonly base?: number;
  /** For {@link HostListReceiver}: JSON, in memory that all threads share when it is long. */
  readonly content: HostListContent;
  /** See {@link HostListUpdate.outcomes}. */
  readonly outcomes?: SharedArrayBuffer;
}

export type HostListContent = string | SharedArrayBuffer;

/**
 * Characters. A string is copied for each thread: posting 10,000 hosts (400 KiB) to four took 0.5 ms, and 0.04 ms as shared memory, which took
 * 0.015 ms to fill. Below this there is nothing to gain.
 */
const SHARED_FROM = 16_384;

/** @param json JSON text */
export function packContent(json: string): HostListContent {
  if (json.length < SHARED_FROM) return json;
  const latin1 = json.replace(/[\u0100-\uffff]/g, escaped);
  const shared = new SharedArrayBuffer(latin1.length);
  Buffer.from(shared).write(latin1, 'latin1');
  return shared;
}

/** The inverse of {@link packContent}, but for the way in which characters are escaped. */
export function unpackContent(content: HostListContent): string {
  return typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * How endpoints of the new list come from the old one, as triples [kind, from, count] one after the other. `from` counts through the endpoints
 * of the old list in their order. Amended and fresh endpoints take the next rows of their columns.
 */
export type Runs = readonly number[];

/** `count` endpoints from `from` on, as they were. */
export const KEEP = 0;
/** The same with some fields changed. */
export const AMEND = 1;
/** `count` endpoints that are new; `from` says nothing. */
export const FRESH = 2;

export interface WireGroup {
  /** Itself, or the index of the old group that has the same. */
  readonly locality: Locality | number;
  readonly weight: number;
  readonly priority: number;
  /** Runs, or the index of the old group that has the same. */
  readonly endpoints: Runs | number;
}

/** What {@link HostListMessage.content} says. */
export interface WireList {
  readonly policy: HostListPolicy;
  /** A number is the index of an old group that is this one in every respect. */
  readonly groups: readonly (WireGroup | number)[];
  readonly fresh: EndpointColumns;
  readonly amended: EndpointColumns;
  /** Each that is mentioned once, however many endpoints have it. */
  readonly metadata: readonly WireMetadata[];
}

/** The endpoints of all groups, in their order: what the `from` of a run counts through. */
export function flatEndpoints({ localities }: HostListUpdate): readonly EndpointData[] {
  return localities.length === 1 ? localities[0].endpoints : localities.flatMap((group) => group.endpoints);
}
