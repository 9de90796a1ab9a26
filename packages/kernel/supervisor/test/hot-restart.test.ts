import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, within } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemBinder } from '../src/bound-socket.ts';
import type { ListenAddress } from '../src/protocol.ts';
import { runSupervisor } from '../src/run-supervisor.ts';
import type { InheritedSocket } from '../src/socket-book.ts';

const ENTRY = fileURLToPath(new URL('./children/epoch.mjs', import.meta.url));
/** For a process to start and to say something. */
const PATIENCE_MS = 15_000;

interface Report {
  readonly test: true;
  readonly epoch: number;
  readonly what: 'live' | 'resume' | 'parent-gone' | 'failed';
  readonly [detail: string]: unknown;
}

interface SupervisedOptions {
  /** Sockets to ask for, by epoch. */
  readonly workers?: string;
  /** The epoch that exits in place of serving. */
  readonly fail?: string;
  readonly inherited?: readonly InheritedSocket[];
}

/** A supervisor in this process, and epochs that are processes. */
class Supervised {
  readonly signals = new EventEmitter();
  readonly children: ChildProcess[] = [];
  readonly exitCode: Promise<number>;
  log = '';
  private readonly reports: Report[] = [];
  private readonly arrivals = new EventEmitter();

  constructor(
    address: ListenAddress,
    { workers = '2', fail = '-1', inherited = [] }: SupervisedOptions = {},
  ) {
    const flags = ['--address', JSON.stringify(address), '--workers', workers, '--fail', fail];
    this.exitCode = runSupervisor(['--', ...flags], {
      entry: ENTRY,
      execPath: process.execPath,
      execArgv: [],
      env: process.env,
      pid: process.pid,
      signals: this.signals,
      inherited,
      write: () => {},
      writeError: (text) => void (this.log += text),
      spawn: (execPath, args, env) => this.spawn(execPath, args, env),
    });
  }

  /** Also one that has come before. */
  async report(epoch: number, what: Report['what']): Promise<Report> {
    for (;;) {
      const at = this.reports.findIndex((one) => one.epoch === epoch && one.what === what);
      if (at >= 0) return this.reports.splice(at, 1)[0];
      const arrival = new Promise((resolve) => this.arrivals.once('report', resolve));
      await within(arrival, `"${what}" of epoch ${epoch}; the log: ${this.log}`, PATIENCE_MS);
    }
  }

  restart(): void {
    this.signals.emit('SIGHUP', 'SIGHUP');
  }

  stop(): Promise<number> {
    this.signals.emit('SIGTERM', 'SIGTERM');
    return within(this.exitCode, `the end; the log: ${this.log}`, PATIENCE_MS);
  }

  /** Whatever a test has left. */
  kill(): void {
    for (const child of this.children) if (child.exitCode === null) child.kill('SIGKILL');
  }

  private spawn(execPath: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(execPath, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    child.on('message', (message) => {
      if (!(message as Partial<Report>).test) return;
      this.reports.push(message as Report);
      this.arrivals.emit('report');
    });
    this.children.push(child);
    return child;
  }
}

/** One connection: what it is answered. */
function ask(where: NetConnectOpts): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(where, () => socket.write('?'));
    socket.on('data', (data) => (answer += data));
    socket.on('error', reject);
    socket.on('end', () => (answer === '' ? reject(new Error('closed without an answer')) : resolve(answer)));
  });
}

/** New connections, one after another, `width` at a time and at most 400 a second, until it is stopped. */
class Load {
  readonly failures: string[] = [];
  readonly answers = new Map<string, number>();
  private readonly where: NetConnectOpts;
  private readonly runners: Promise<void>[];
  private running = true;

  constructor(where: NetConnectOpts, width = 8) {
    this.where = where;
    this.runners = Array.from({ length: width }, () => this.run(width));
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.runners);
  }

  /** Settles when an epoch has answered `count` of them. */
  answeredBy(epoch: number, count: number): Promise<unknown> {
    return eventually(() => (this.answers.get(`epoch ${epoch}`) ?? 0) >= count, PATIENCE_MS);
  }

  private async run(width: number): Promise<void> {
    while (this.running) {
      const pace = new Promise((resolve) => setTimeout(resolve, (1000 / 400) * width));
      try {
        const answer = await ask(this.where);
        this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
      } catch (error) {
        this.failures.push(String(error));
      }
      await pace;
    }
  }
}

const ANY_PORT: ListenAddress = { family: 'ipv4', ip: '127.0.0.1', port: 0, ipv6Only: false };
let folder = '';
let supervised: Supervised | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
});

afterEach(() => {
  supervised?.kill();
  supervised = undefined;
  rmSync(folder, { recursive: true });
});

function supervise(...args: ConstructorParameters<typeof Supervised>): Supervised {
  supervised = new Supervised(...args);
  return supervised;
}

/** Where to connect to, once epoch 0 is live. */
async function target(run: Supervised): Promise<{ host: string; port: number }> {
  const { address } = await run.report(0, 'live');
  const { ip, port } = address as { ip: string; port: number };
  expect(port).toBeGreaterThan(0);
  return { host: ip, port };
}

describe('a hot restart', () => {
  it('five times under load on a port that was 0: no connection is refused or reset', {
    timeout: 60_000,
  }, async () => {
    const run = supervise(ANY_PORT);
    const where = await target(run);
    const load = new Load(where);
    for (let epoch = 1; epoch <= 5; epoch++) {
      await load.answeredBy(epoch - 1, 40);
      run.restart();
      const live = await run.report(epoch, 'live');
      expect(live).toMatchObject({ address: { port: where.port }, sockets: 2 });
      const { answered, never } = live.parent as { answered: number; never: number };
      expect(answered).toBeGreaterThanOrEqual(40);
      expect(never).toBe(Number.POSITIVE_INFINITY);
      const gone = await run.report(epoch, 'parent-gone');
      expect((gone.stats as { answered: number }).answered).toBeGreaterThanOrEqual(answered);
    }
    await load.answeredBy(5, 40);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await run.stop()).toBe(0);
    await expect(ask(where)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(run.children.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it.each([
    ['more', '1,2', 2],
    ['fewer', '2,1', 2],
  ])('to %s workers loses nothing', { timeout: 60_000 }, async (_, workers, sockets) => {
    const run = supervise(ANY_PORT, { workers });
    const where = await target(run);
    const load = new Load(where);
    await load.answeredBy(0, 40);
    run.restart();
    expect(await run.report(1, 'live')).toMatchObject({ sockets });
    await run.report(1, 'parent-gone');
    await load.answeredBy(1, 100);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await run.stop()).toBe(0);
  });

  it('that fails leaves the old epoch serving; the next one may do better', { timeout: 60_000 }, async () => {
    const run = supervise(ANY_PORT, { fail: '1' });
    const where = await target(run);
    const load = new Load(where);
    await load.answeredBy(0, 20);
    run.restart();
    await run.report(0, 'resume');
    const before = load.answers.get('epoch 0') ?? 0;
    await load.answeredBy(0, before + 40);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(run.log).toMatch(
      /epoch 1 \(pid \d+\) has failed before it was live: it exited with code 7; epoch 0/,
    );
    expect(await run.stop()).toBe(0);
  });

  it('of a Unix socket keeps its file, and the end removes it', { timeout: 60_000 }, async () => {
    const path = join(folder, 'x.sock');
    const run = supervise({ family: 'pipe', path, mode: 0o640 });
    await run.report(0, 'live');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    const load = new Load({ path });
    await load.answeredBy(0, 40);
    run.restart();
    expect(await run.report(1, 'live')).toMatchObject({ sockets: 1 });
    await run.report(1, 'parent-gone');
    await load.answeredBy(1, 40);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await run.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });
});

it('an address that somebody else has is an error with a text', { timeout: 60_000 }, async () => {
  const stranger = createServer();
  await new Promise<void>((resolve) =>
    stranger.listen({ host: '127.0.0.1', port: 0, reusePort: true }, resolve),
  );
  const { port } = stranger.address() as { port: number };
  const run = supervise({ ...ANY_PORT, port } as ListenAddress);
  expect(await run.report(0, 'failed')).toMatchObject({
    code: 'EADDRINUSE',
    message: `cannot bind 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
  });
  expect(await within(run.exitCode, 'the end', PATIENCE_MS)).toBe(3);
  await new Promise((resolve) => stranger.close(resolve));
});

it('the death of the live epoch is the end, with its signal', { timeout: 60_000 }, async () => {
  const run = supervise(ANY_PORT);
  const where = await target(run);
  run.children[0].kill('SIGKILL');
  expect(await within(run.exitCode, 'the end', PATIENCE_MS)).toBe(137);
  await expect(ask(where)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

it('an epoch whose channel has closed serves until it is done, and its end is seen', {
  timeout: 60_000,
}, async () => {
  const run = supervise(ANY_PORT);
  await target(run);
  // As when the supervisor is gone. This child then stops by itself.
  run.children[0].disconnect();
  expect(await within(run.exitCode, 'the end', PATIENCE_MS)).toBe(0);
  expect(run.children[0].exitCode).toBe(0);
});

it('a socket that systemd has opened is the one that epochs listen on', { timeout: 60_000 }, async () => {
  const { socket, port } = systemBinder().ip('127.0.0.1', 0, { ipv6Only: false, reusePort: false });
  const address: ListenAddress = { family: 'ipv4', ip: '127.0.0.1', port, ipv6Only: false };
  const run = supervise(address, { inherited: [{ fd: socket.fd, address }] });
  const where = await target(run);
  expect(where.port).toBe(port);
  const load = new Load(where);
  await load.answeredBy(0, 20);
  run.restart();
  expect(await run.report(1, 'live')).toMatchObject({ sockets: 1 });
  await run.report(1, 'parent-gone');
  await load.answeredBy(1, 20);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(await run.stop()).toBe(0);
});
