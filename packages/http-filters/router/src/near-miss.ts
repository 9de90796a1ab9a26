import { nearest } from '@dragoman/api';
import { type Cluster, detailsWord, type RouteMiss } from '@dragoman/core';

/*
 * Envoy's details of an answer that no upstream was asked for, and in braces what came nearest to there being one. Only made
 * when it is needed: strangers may ask for what is not there all day, so each looks at a bounded number of things.
 */

export function noRouteDetails(miss: RouteMiss | undefined): string {
  return miss === undefined ? 'route_not_found' : `route_not_found{${miss.details}}`;
}

const LOOKED_AT = 256;

/** @param name may come from a request (`cluster_header`) */
export function noClusterDetails(name: string, clusterNames: Iterable<string>): string {
  const near = name === '' ? undefined : nearest(name, first(clusterNames, LOOKED_AT));
  const found = near === undefined ? '' : `|nearest:${detailsWord(near)}`;
  return `cluster_not_found{cluster:${detailsWord(name)}${found}}`;
}

export function noHostDetails({ info, hostSets }: Cluster): string {
  let [hosts, healthy] = [0, 0];
  for (const set of hostSets) {
    hosts += set.hosts.length;
    healthy += set.healthyHosts.length;
  }
  return `no_healthy_upstream{cluster:${detailsWord(info.name)}|hosts:${hosts}|healthy:${healthy}}`;
}

function* first<T>(all: Iterable<T>, count: number): Generator<T> {
  for (const each of all) {
    if (count-- === 0) return;
    yield each;
  }
}
