import type { Locality } from '@dragoman/core';

/** Requests since load was last asked for; `active` are those under way at this moment. */
export interface RequestCounts {
  readonly issued: number;
  readonly success: number;
  readonly error: number;
  readonly active: number;
}

/** What hosts have reported under one name (ORCA) since load was last asked for. */
export interface MetricLoad {
  readonly name: string;
  /** How many answers had it. */
  readonly answers: number;
  readonly total: number;
}

export interface EndpointLoad extends RequestCounts {
  readonly address: string;
  readonly metrics: readonly MetricLoad[];
}

/** The hosts of one locality of one priority, together. */
export interface LocalityLoad extends RequestCounts {
  readonly locality: Locality;
  readonly priority: number;
  readonly metrics: readonly MetricLoad[];
  /** Those that have something to tell; empty where they were not asked for. */
  readonly endpoints: readonly EndpointLoad[];
}

/** The load of a cluster on one thread. Plain data. */
export interface ClusterLoad {
  readonly name: string;
  /** Requests turned away in all: maintenance mode, overload, circuit breakers. */
  readonly dropped: number;
  /** Of those, how many for the overload of a category (`ClusterLoadAssignment.policy.drop_overloads`). */
  readonly overloads: readonly { readonly category: string; readonly count: number }[];
  /** Those in which something has happened, or is under way. */
  readonly localities: readonly LocalityLoad[];
}
