// node --conditions dragoman-source packages/load-balancers/override-host/bench/override-host.bench.ts

import { OverrideHostSchema, readLoose } from '@dragoman/api';
import { type Host, RequestHeaders, StreamInfo } from '@dragoman/core';
import {
  connectionInfo,
  hostSetOf,
  loadBalancerContext,
  pickContext,
  simpleBalancer,
  testHost,
} from '@dragoman/testing';
import { overrideHost } from '../src/index.ts';

const HEADER = 'x-gateway-destination-endpoint';
const config = readLoose(OverrideHostSchema, {
  override_host_sources: [{ header: HEADER }],
  fallback_policy: { policies: [{ typed_extension_config: { name: 'round_robin' } }] },
}) as never;

/** Prints the best of five rounds: the others were disturbed. */
function measure(name: string, operations: number, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / operations).toFixed(1)} ns`);
}

const hostOf = (index: number): Host => testHost(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`);
const PICKS = 100_000;

for (const size of [10, 1000, 10_000]) {
  const hosts = Array.from({ length: size }, (_, index) => hostOf(index));
  const whole = hostSetOf(hosts);
  const fewer = hostSetOf(hosts.slice(1));
  const over = overrideHost.create(config, loadBalancerContext()).createBalancer(simpleBalancer);
  measure(`${size} hosts: build`, 1, () => over.update([whole]));
  measure(`${size} hosts: one host lost`, 1, () => over.update([fewer]));
  over.update([whole]);
  for (const header of [undefined, '10.0.0.3:80', '10.0.0.3:80,10.0.0.4:80']) {
    const requestHeaders = new RequestHeaders();
    if (header !== undefined) requestHeaders.set(HEADER, header);
    const connection = connectionInfo();
    measure(`${size} hosts: first pick, ${header ?? 'no header'}, with its StreamInfo`, PICKS, () => {
      for (let i = 0; i < PICKS; i++)
        over.choose(pickContext({ info: new StreamInfo(connection, 0, 0), requestHeaders }));
    });
  }
}
