import { join } from 'node:path';
import { BULK_BYTES, type Case } from './cases.ts';
import { runH2load } from './load/h2load.ts';
import { type LoadResult, runWrk } from './load/wrk.ts';
import type { Peer } from './peers/peer.ts';
import { cpuSeconds, mainThreadSeconds, rssBytes } from './proc.ts';
import { startUpstream } from './upstream.ts';
import {
  BOTH_CORES,
  type Cores,
  freePort,
  LOAD_CORE,
  PROXY_CORE,
  untilAnswering,
  untilServing,
  type Workbench,
} from './workbench.ts';

/** One measurement of one proxy. For TCP a "request" is one MiB. */
export interface Sample {
  readonly perSecond: number;
  /** Milliseconds; undefined for TCP. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  /** User and system time of the proxy's processes for each request, microseconds. */
  readonly cpuMicros: number;
  /** How much of {@link cpuMicros} was used by the first thread of the first process. */
  readonly mainMicros: number;
  /** Share of one core that the proxy used: near 1 a proxy with one worker was what limited the throughput. */
  readonly cpuShare: number;
  readonly rssBytes: number;
  readonly errors: number;
}

export interface Times {
  readonly seconds: number;
  readonly warmup: number;
}

/** How many workers, and which cores everybody has. */
export interface Placement {
  readonly workers: number;
  readonly proxy: Cores;
  readonly load: Cores;
}

/** One worker, with a core for itself. */
export const APART: Placement = { workers: 1, proxy: PROXY_CORE, load: LOAD_CORE };

/** Proxy, load and upstream on both cores, wherever the kernel puts them. */
export function together(workers: number): Placement {
  return { workers, proxy: BOTH_CORES, load: BOTH_CORES };
}

export async function measure(
  bench: Workbench,
  peer: Peer,
  wanted: Case,
  times: Times,
  { workers, proxy, load: loadCores }: Placement = APART,
): Promise<Sample> {
  const upstream = await startUpstream(bench, wanted, loadCores);
  const port = await freePort();
  const target = { case: wanted, port, upstreamPort: upstream.port, workers, cores: proxy };
  const child = await peer.start(bench, target);
  try {
    if (wanted.kind === 'tcp' || wanted.virtualHosts > 0 || wanted.downstream === 'http2')
      await untilServing(port, child);
    else await untilAnswering(port, child);
    const load = wanted.kind === 'tcp' ? runBulk : wanted.downstream === 'http2' ? runH2load : runWrk;
    if (times.warmup > 0) await load(bench, wanted, port, times.warmup, loadCores);
    const before = cpuSeconds(child.pid);
    const mainBefore = mainThreadSeconds(child.pid);
    const start = performance.now();
    const result = await load(bench, wanted, port, times.seconds, loadCores);
    const elapsed = (performance.now() - start) / 1000;
    const cpu = cpuSeconds(child.pid) - before;
    const main = mainThreadSeconds(child.pid) - mainBefore;
    if (result.requests === 0) throw new Error(`${peer.name} answered nothing: ${child.lastOutput()}`);
    return {
      perSecond: result.requests / result.seconds,
      p50: wanted.kind === 'tcp' ? undefined : result.p50,
      p99: wanted.kind === 'tcp' ? undefined : result.p99,
      cpuMicros: (cpu * 1e6) / result.requests,
      mainMicros: (main * 1e6) / result.requests,
      cpuShare: cpu / elapsed,
      rssBytes: rssBytes(child.pid),
      errors: result.errors,
    };
  } finally {
    await child.stop();
    await upstream.child.stop();
  }
}

async function runBulk(
  bench: Workbench,
  wanted: Case,
  port: number,
  seconds: number,
  cores: Cores,
): Promise<LoadResult> {
  const script = join(import.meta.dirname, 'load', 'bulk-client.ts');
  const args = [script, port, wanted.connections, seconds].map(String);
  const output = JSON.parse(await bench.run(cores, process.execPath, args)) as {
    bytes: number;
    seconds: number;
    connections: number;
  };
  return {
    requests: output.bytes / (1 << 20),
    seconds: output.seconds,
    bytes: output.bytes,
    errors: wanted.connections - output.connections + (output.bytes < BULK_BYTES ? 1 : 0),
    p50: 0,
    p99: 0,
  };
}
