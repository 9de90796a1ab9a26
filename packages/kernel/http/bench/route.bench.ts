/**
 * Route lookup and compilation. Run: `node --conditions=dragoman-source bench/route.bench.ts`
 *
 * Paths and hosts are fresh strings for each round, as they are off the wire: their hashes are not cached.
 */
import { create, RouteConfigurationSchema } from '@dragoman/api';
import type { MessageInitShape } from '@dragoman/api';
import { Address, emptyRuntime, type FactoryContext, RequestHeaders, StreamInfo } from '@dragoman/core';
import { compileRouteTable } from '../src/routes/index.ts';

const context = { runtime: emptyRuntime, formatters: undefined } as unknown as FactoryContext;
const info = new StreamInfo(
  {
    id: 1,
    localAddress: Address.ip('127.0.0.1', 80),
    directRemoteAddress: Address.ip('127.0.0.1', 1),
    remoteAddress: Address.ip('127.0.0.1', 1),
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: 0,
    transportFailureReason: '',
    terminationDetails: '',
  },
  0,
  0,
);

type Config = MessageInitShape<typeof RouteConfigurationSchema>;
const table = (config: Config) =>
  compileRouteTable(create(RouteConfigurationSchema, config), { context, perFilterConfig: () => undefined });

function prefixRoute(prefix: string, cluster: string) {
  return {
    match: { pathSpecifier: { case: 'prefix' as const, value: prefix } },
    action: {
      case: 'route' as const,
      value: { clusterSpecifier: { case: 'cluster' as const, value: cluster } },
    },
  };
}

function hostsConfig(hosts: number, routes: number): Config {
  return {
    virtualHosts: Array.from({ length: hosts }, (_, h) => ({
      name: `host-${h}`,
      domains: [`service-${h}.example.com`],
      routes: Array.from({ length: routes }, (_, r) =>
        prefixRoute(`/api/v${r}/resource`, `cluster-${h}-${r}`),
      ),
    })),
  };
}

const ROUNDS = 2_000;
const BATCH = 500;

/** Fresh copies, as if just parsed. */
function fresh(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function measure(
  name: string,
  config: Config,
  hostOf: (i: number) => string,
  pathOf: (i: number) => string,
): void {
  const routes = table(config);
  const headers = new RequestHeaders();
  let found = 0;
  let best = Number.POSITIVE_INFINITY;
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const hosts: string[] = [];
    const paths: string[] = [];
    for (let i = 0; i < BATCH; i++) {
      const draw = (round * BATCH + i) * 7919;
      hosts.push(fresh(hostOf(draw)));
      paths.push(fresh(pathOf(draw)));
    }
    const begin = performance.now();
    for (let i = 0; i < BATCH; i++) {
      headers.authority = hosts[i] as string;
      headers.path = paths[i] as string;
      if (routes.match(headers, info, 0) !== undefined) found++;
    }
    const taken = ((performance.now() - begin) * 1e6) / BATCH;
    if (round >= ROUNDS / 2) times.push(taken);
    best = Math.min(best, taken);
  }
  if (found !== ROUNDS * BATCH) throw new Error(`${name}: ${found} of ${ROUNDS * BATCH} found`);
  // The median: a mean would tell of whatever else the machine did.
  const median = times.sort((a, b) => a - b)[times.length >> 1] as number;
  console.log(`${name}: ${median.toFixed(0)} ns a lookup (best batch ${best.toFixed(0)})`);
}

const resource = (i: number) => `/api/v${i % 10}/resource/${i % 1000}?page=2`;
measure('1 virtual host x 10 routes', hostsConfig(1, 10), () => 'service-0.example.com', resource);
measure(
  '1,000 virtual hosts x 10 routes',
  hostsConfig(1000, 10),
  (i) => `service-${i % 1000}.example.com`,
  resource,
);
measure(
  '10,000 virtual hosts x 10 routes',
  hostsConfig(10_000, 10),
  (i) => `service-${i % 10_000}.example.com`,
  resource,
);
measure(
  '1 virtual host x 10,000 prefixes',
  {
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: Array.from({ length: 10_000 }, (_, r) =>
          prefixRoute(`/team-${r % 100}/service-${r}/`, `c${r}`),
        ),
      },
    ],
  },
  () => 'any.example.com',
  (i) => `/team-${(i % 10_000) % 100}/service-${i % 10_000}/items/7`,
);
measure(
  '1,000 suffix domains x 10 routes',
  {
    virtualHosts: hostsConfig(1000, 10).virtualHosts?.map((host, h) => ({
      ...host,
      domains: [`*.service-${h}.example.com`],
    })),
  },
  (i) => `www.service-${i % 1000}.example.com`,
  resource,
);

const large = create(RouteConfigurationSchema, hostsConfig(10_000, 10));
const heap = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
let made: unknown;
for (let run = 1; run <= 5; run++) {
  made = undefined;
  const before = heap();
  const begin = performance.now();
  made = compileRouteTable(large, { context, perFilterConfig: () => undefined });
  const ms = (performance.now() - begin).toFixed(0);
  const megabytes = ((heap() - before) / 2 ** 20).toFixed(0);
  console.log(`compile 10,000 virtual hosts x 10 routes, run ${run}: ${ms} ms, ${megabytes} MiB kept`);
}
if (made === undefined) throw new Error('nothing was made');
