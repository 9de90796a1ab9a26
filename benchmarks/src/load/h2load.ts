import { readFileSync, writeFileSync } from 'node:fs';
import type { Case } from '../cases.ts';
import { type Cores, LOAD_CORE, type Workbench } from '../workbench.ts';
import type { LoadResult } from './wrk.ts';

/** A gRPC message of `bytes` with its length before it, the two together. */
function message(bytes: number): Buffer {
  const frame = Buffer.alloc(bytes, 'x');
  frame[0] = 0;
  frame.writeUInt32BE(bytes - 5, 1);
  return frame;
}

/** Reads what h2load prints at its end, and its log: a line a request with start (µs), status and duration (µs). @throws Error when it is not there */
export function parseH2load(output: string, log: string, seconds: number): LoadResult {
  const totals = /requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(output);
  const bytes = /traffic: .*\((\d+)\) total/.exec(output);
  if (totals === null || bytes === null) throw new Error(`h2load printed no result: ${output}`);
  const durations: number[] = [];
  let requests = 0;
  for (const line of log.split('\n')) {
    const [, status, us] = line.split('\t').map(Number);
    if (us === undefined || Number.isNaN(us)) continue;
    if (status !== undefined && status >= 200 && status < 400) requests++;
    durations.push(us);
  }
  durations.sort((a, b) => a - b);
  const at = (share: number) => (durations[Math.floor((durations.length - 1) * share)] ?? 0) / 1000;
  return {
    requests,
    seconds,
    bytes: Number(bytes[1]),
    errors: durations.length - requests,
    p50: at(0.5),
    p99: at(0.99),
  };
}

export async function runH2load(
  bench: Workbench,
  wanted: Case,
  port: number,
  seconds: number,
  cores: Cores = LOAD_CORE,
): Promise<LoadResult> {
  const log = bench.path('h2load.log');
  const args = [
    '-t1',
    `-c${wanted.connections}`,
    `-m${wanted.streams}`,
    `-D${seconds}`,
    `--log-file=${log}`,
    '-w20',
    '-W24',
  ];
  if (wanted.method === 'POST') {
    const body = bench.path('body');
    writeFileSync(body, wanted.grpc ? message(wanted.bodyBytes) : Buffer.alloc(wanted.bodyBytes, 'x'));
    args.push(`--data=${body}`);
  }
  if (wanted.grpc) args.push('-Hcontent-type: application/grpc', '-Hte: trailers');
  const output = await bench.run(cores, 'h2load', [...args, `http://127.0.0.1:${port}${wanted.path}`]);
  return parseH2load(output, readFileSync(log, 'latin1'), seconds);
}
