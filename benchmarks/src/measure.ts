import { join } from 'node:path';
import { BULK_BYTES, type Case } from './cases.ts';
import { type LoadResult, runWrk } from './load/wrk.ts';
import type { Peer } from './peers/peer.ts';
import { cpuSeconds, rssBytes } from './proc.ts';
import { startUpstream } from './upstream.ts';
import { freePort, LOAD_CORE, untilServing, type Workbench } from './workbench.ts';

/** One measurement of one proxy. For TCP a "request" is one MiB. */
export interface Sample {
  readonly perSecond: number;
  /** Milliseconds; undefined for TCP. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  /** User and system time of the proxy's processes for each request, microseconds. */
  readonly cpuMicros: number;
  /** Share of one core that the proxy used: near 1 it was what limited the throughput. */
  readonly cpuShare: number;
  readonly rssBytes: number;
  readonly errors: number;
}

export interface Times {
  readonly seconds: number;
  readonly warmup: number;
}

export async function measure(bench: Workbench, peer: Peer, wanted: Case, times: Times): Promise<Sample> {
  const upstream = await startUpstream(bench, wanted);
  const port = await freePort();
  const child = await peer.start(bench, { case: wanted, port, upstreamPort: upstream.port });
  try {
    await untilServing(port, child);
    const load = wanted.kind === 'tcp' ? runBulk : runWrk;
    if (times.warmup > 0) await load(bench, wanted, port, times.warmup);
    const before = cpuSeconds(child.pid);
    const start = performance.now();
    const result = await load(bench, wanted, port, times.seconds);
    const elapsed = (performance.now() - start) / 1000;
    const cpu = cpuSeconds(child.pid) - before;
    if (result.requests === 0) throw new Error(`${peer.name} answered nothing: ${child.lastOutput()}`);
    return {
      perSecond: result.requests / result.seconds,
      p50: wanted.kind === 'tcp' ? undefined : result.p50,
      p99: wanted.kind === 'tcp' ? undefined : result.p99,
      cpuMicros: (cpu * 1e6) / result.requests,
      cpuShare: cpu / elapsed,
      rssBytes: rssBytes(child.pid),
      errors: result.errors,
    };
  } finally {
    await child.stop();
    await upstream.child.stop();
  }
}

async function runBulk(bench: Workbench, wanted: Case, port: number, seconds: number): Promise<LoadResult> {
  const script = join(import.meta.dirname, 'load', 'bulk-client.ts');
  const args = [script, port, wanted.connections, seconds].map(String);
  const output = JSON.parse(await bench.run(LOAD_CORE, process.execPath, args)) as {
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
