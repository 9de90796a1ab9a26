import type { RandomSource } from '@dragoman/core';
import { type Latency, lognormal } from '@dragoman/simulation';
import type { JsonObject } from '@dragoman/testing';
import { extensions as sidecar } from 'dragoman';

/** How large a study is. */
export interface StudySize {
  readonly hosts: number;
  /** Everything that is drawn follows from it. */
  readonly seed: number;
}

/** That of the recorded figures. */
export const FULL_SIZE: StudySize = { hosts: 10_000, seed: 2026 };

/** Of each host. */
export const SERVERS = 2;
export const QUEUE_LIMIT = 50;
/** Half of the answers take at most 500 ms, one of a hundred more than 1.6 s; the mean is 567 ms. */
export const SERVICE_TIME: Latency = lognormal(500, 0.5);
/** Requests a second for each host: {@link SERVERS} are at work 45 % of the time. */
export const RATE_PER_HOST = 1.6;
const KEYS = 1_000_000;

export const loadBalancers = sidecar.filter(({ category }) => category === 'load-balancers');

/** A cluster in whose way no circuit breaker stands. */
export function openCluster(over: JsonObject, threshold: JsonObject = {}): JsonObject {
  const most = 10_000_000;
  const open = { max_connections: most, max_pending_requests: most, max_requests: most, max_retries: most };
  return { name: 'web', circuit_breakers: { thresholds: [{ ...open, ...threshold }] }, ...over };
}

/** One of a million users, each as likely as the others: what hashing policies go by. */
export function userHeader(random: RandomSource): Readonly<Record<string, string>> {
  return { 'x-user': String(random.next() % KEYS) };
}

/** A policy with its settings. */
export interface Variant {
  readonly name: string;
  /** `load_balancing_policy` of the cluster. */
  readonly policy: JsonObject;
  /** What else its cluster is to have. Default: nothing. */
  readonly cluster?: JsonObject;
}

/** @param fields of the policy's message */
export function variant(name: string, policy: string, fields: JsonObject = {}): Variant {
  const message = policy.replace(/(^|_)(.)/g, (_match, _line, letter: string) => letter.toUpperCase());
  const extension = {
    name: `envoy.load_balancing_policies.${policy}`,
    typed_config: {
      '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${policy}.v3.${message}`,
      ...fields,
    },
  };
  return { name, policy: { policies: [{ typed_extension_config: extension }] } };
}

/** How many requests these hosts have had together. */
export function arrivedAt(hosts: readonly { readonly arrived: number }[]): number {
  return hosts.reduce((sum, { arrived }) => sum + arrived, 0);
}
