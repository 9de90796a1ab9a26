import { writeFileSync } from 'node:fs';
import { type Case, hostName, ROUTES_PER_HOST, routePrefix } from '../cases.ts';
import { type Cores, LOAD_CORE, type Workbench } from '../workbench.ts';

/** What wrk saw. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Connections that failed, timeouts, responses other than 2xx and 3xx. */
  readonly errors: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Marks our line among what wrk prints. */
const MARK = 'DRAGOMAN ';

/** The script that makes wrk send what `wanted` says and print its figures as JSON. */
export function wrkScript(wanted: Case): string {
  const lines = [`wrk.method = "${wanted.method}"`];
  if (wanted.close) lines.push('wrk.headers["Connection"] = "close"');
  if (wanted.bodyBytes > 0) {
    lines.push(`wrk.body = string.rep("x", ${wanted.bodyBytes})`);
    lines.push('wrk.headers["Content-Type"] = "application/octet-stream"');
  }
  if (wanted.virtualHosts > 0) {
    // A stride that is prime to the number of hosts: neighbours in time are not neighbours in the table.
    lines.push(
      'local requests = {}',
      'local at = 0',
      'init = function(args)',
      `  for h = 0, ${wanted.virtualHosts - 1} do`,
      `    for r = 0, ${ROUTES_PER_HOST - 1} do`,
      `      local host = "${hostName(0)}"`,
      `      host = host:gsub("0", tostring(h), 1)`,
      `      local path = "${routePrefix(0)}small"`,
      `      path = path:gsub("0", tostring(r), 1)`,
      '      requests[#requests + 1] = wrk.format("GET", path, { ["Host"] = host })',
      '    end',
      '  end',
      'end',
      'request = function()',
      '  at = (at + 3331) % #requests',
      '  return requests[at + 1]',
      'end',
    );
  }
  lines.push(
    'done = function(summary, latency, requests)',
    '  local e = summary.errors',
    `  io.write(string.format('${MARK}{"requests":%d,"us":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}\\n',`,
    '    summary.requests, summary.duration, summary.bytes,',
    '    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))',
    'end',
  );
  return `${lines.join('\n')}\n`;
}

/** @throws Error when our line is not there */
export function parseWrk(output: string): LoadResult {
  const line = output.split('\n').find((text) => text.startsWith(MARK));
  if (line === undefined) throw new Error(`wrk printed no result: ${output}`);
  const raw = JSON.parse(line.slice(MARK.length)) as Record<string, number>;
  return {
    requests: raw['requests'] as number,
    seconds: (raw['us'] as number) / 1e6,
    bytes: raw['bytes'] as number,
    errors: raw['errors'] as number,
    p50: (raw['p50'] as number) / 1000,
    p99: (raw['p99'] as number) / 1000,
  };
}

export async function runWrk(
  bench: Workbench,
  wanted: Case,
  port: number,
  seconds: number,
  cores: Cores = LOAD_CORE,
): Promise<LoadResult> {
  const script = bench.path('load.lua');
  writeFileSync(script, wrkScript(wanted));
  const output = await bench.run(cores, 'wrk', [
    '-t1',
    `-c${wanted.connections}`,
    `-d${seconds}s`,
    '--timeout=5s',
    `--script=${script}`,
    `http://127.0.0.1:${port}${wanted.path}`,
  ]);
  return parseWrk(output);
}
