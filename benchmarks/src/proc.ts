import { readdirSync, readFileSync } from 'node:fs';

/** What `/proc/<pid>/stat` says of a process. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of all its threads, clock ticks. */
  readonly ticks: number;
}

/** Clock ticks in a second: `USER_HZ`, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Reads one line of `/proc/<pid>/stat`. The name in parentheses may hold anything, spaces and parentheses included. */
export function parseStat(line: string): ProcessStat {
  const close = line.lastIndexOf(')');
  const fields = line.slice(close + 2).split(' ');
  return {
    pid: Number.parseInt(line, 10),
    parent: Number(fields[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
  };
}

/** `VmRSS` of `/proc/<pid>/status`, bytes; 0 when there is none. */
export function parseRss(status: string): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return found === null ? 0 : Number(found[1]) * 1024;
}

/** A process and everything that it has started, as pids. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const line = readOrEmpty(`/proc/${entry}/stat`);
    if (line === '') continue;
    const { pid, parent } = parseStat(line);
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** CPU seconds (user and system) that a process tree has used. */
export function cpuSeconds(root: number): number {
  let ticks = 0;
  for (const pid of processTree(root)) {
    const line = readOrEmpty(`/proc/${pid}/stat`);
    if (line !== '') ticks += parseStat(line).ticks;
  }
  return ticks / TICKS_PER_SECOND;
}

/** CPU seconds (user and system) of a process's first thread alone. */
export function mainThreadSeconds(pid: number): number {
  const line = readOrEmpty(`/proc/${pid}/task/${pid}/stat`);
  return line === '' ? 0 : parseStat(line).ticks / TICKS_PER_SECOND;
}

/** Resident bytes of a process tree. Pages that its processes share count once for each. */
export function rssBytes(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + parseRss(readOrEmpty(`/proc/${pid}/status`)), 0);
}

/** RSS once it has stood still for a second, at most ten. */
export async function settledRss(pid: number): Promise<number> {
  let last = rssBytes(pid);
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = rssBytes(pid);
    if (Math.abs(now - last) < 256 * 1024) return now;
    last = now;
  }
  return last;
}

/** A process may be gone between two looks. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
