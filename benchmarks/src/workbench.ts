import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { processTree } from './proc.ts';

/** Cores that a process may run on, as `taskset -c` takes them. */
export type Cores = '0' | '1' | '0,1';
/** Where a proxy with one worker runs. */
export const PROXY_CORE: Cores = '0';
/** Where its load and its upstream run. */
export const LOAD_CORE: Cores = '1';
/** Where everything runs that has to do with a proxy of several workers. */
export const BOTH_CORES: Cores = '0,1';

/** Whether a command is on the PATH, or where Debian keeps its servers. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    try {
      execFileSync('test', ['-x', join(folder, name)], { stdio: 'ignore' });
      return join(folder, name);
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** A port that nobody listened on a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Tries to connect every millisecond. @returns `performance.now()` when it worked */
export function untilServing(port: number, child: Child, patienceMs?: number): Promise<number> {
  return until(port, child, canConnect, patienceMs);
}

/** Asks until it is answered with 200. @returns `performance.now()` when it was */
export function untilAnswering(port: number, child: Child, patienceMs?: number): Promise<number> {
  return until(port, child, canAsk, patienceMs);
}

async function until(
  port: number,
  child: Child,
  works: (port: number) => Promise<boolean>,
  patienceMs = 15_000,
): Promise<number> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    if (await works(port)) return performance.now();
    if (child.exited) throw new Error(`${child.name} ended before it served: ${child.lastOutput()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`${child.name} does not serve on port ${port}: ${child.lastOutput()}`);
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function canAsk(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET /small HTTP/1.1\r\nhost: bench.test\r\nconnection: close\r\n\r\n'),
    );
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').startsWith('HTTP/1.1 200'));
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

/** A process that we have started. */
export class Child {
  readonly name: string;
  /** `performance.now()` just before it was started. */
  readonly startedAt: number;
  private readonly process: ChildProcess;
  private readonly output: string;
  private readonly ended: Promise<void>;

  constructor(name: string, child: ChildProcess, output: string, startedAt: number) {
    this.name = name;
    this.process = child;
    this.output = output;
    this.startedAt = startedAt;
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The process itself, for messages to and from one that was started with `ipc`. */
  get channel(): Pick<ChildProcess, 'send' | 'on' | 'off'> {
    return this.process;
  }

  get exited(): boolean {
    return (
      this.process.pid === undefined || this.process.exitCode !== null || this.process.signalCode !== null
    );
  }

  /** The last lines it printed, for messages. */
  lastOutput(): string {
    return readFileSync(this.output, 'utf8').trim().split('\n').slice(-5).join('\n');
  }

  signal(name: NodeJS.Signals): void {
    signal(this.pid, name);
  }

  /** Ends it and what it has started, by their pids: TERM first, KILL after two seconds. */
  async stop(): Promise<void> {
    if (this.exited) return;
    const tree = processTree(this.pid);
    signal(this.pid, 'SIGTERM');
    const timer = setTimeout(() => {
      for (const pid of tree) signal(pid, 'SIGKILL');
    }, 2000);
    await this.ended;
    clearTimeout(timer);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** Everything a run makes, so that all of it can be taken away in the end. */
export class Workbench {
  readonly folder = mkdtempSync(join(tmpdir(), 'dragoman-bench-'));
  /** False on a machine with one core, or without taskset: figures are worth less then. */
  readonly pinned: boolean;
  private readonly children: Child[] = [];
  /** Commands of {@link run} that have not ended. */
  private readonly running = new Set<ChildProcess>();
  private count = 0;

  constructor() {
    this.pinned = availableParallelism() > 1 && findCommand('taskset') !== undefined;
    // The sampling must not disturb the proxy either.
    if (this.pinned)
      execFileSync('taskset', ['-a', '-c', '-p', LOAD_CORE, String(process.pid)], {
        stdio: 'ignore',
      });
  }

  /** A path in the run's folder that nothing else has. */
  path(name: string): string {
    return join(this.folder, `${this.count++}-${name}`);
  }

  /** Starts a process. What it prints goes to a file; with `ipc` it has a channel to us, see {@link Child.channel}. */
  start(name: string, cores: Cores, command: string, args: readonly string[], ipc = false): Child {
    const output = this.path(`${name}.out`);
    const file = openSync(output, 'a');
    const startedAt = performance.now();
    const [program, programArgs] = this.on(cores, command, args);
    const process = spawn(program, programArgs, {
      stdio: ['ignore', file, file, ...(ipc ? (['ipc'] as const) : [])],
      cwd: this.folder,
    });
    closeSync(file);
    const child = new Child(name, process, output, startedAt);
    this.children.push(child);
    return child;
  }

  /** Runs a command to its end. @returns what it printed. @throws Error when it fails */
  run(cores: Cores, command: string, args: readonly string[]): Promise<string> {
    const [program, programArgs] = this.on(cores, command, args);
    return new Promise((resolve, reject) => {
      const child = spawn(program, programArgs, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder });
      this.running.add(child);
      let out = '';
      let problems = '';
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        problems += chunk.toString();
      });
      child.once('error', reject);
      child.once('close', (code) => {
        this.running.delete(child);
        if (code === 0) resolve(out);
        else reject(new Error(`${command} ended with ${code}: ${problems}${out}`));
      });
    });
  }

  async close(): Promise<void> {
    for (const child of this.running) child.kill('SIGKILL');
    await Promise.all(this.children.map((child) => child.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  private on(cores: Cores, command: string, args: readonly string[]): [string, string[]] {
    return this.pinned ? ['taskset', ['-c', cores, command, ...args]] : [command, [...args]];
  }
}
