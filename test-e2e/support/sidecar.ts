import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, type RawResponse, rawClient, within } from '@dragoman/testing';
import type { Message } from './config.ts';

const BIN = fileURLToPath(new URL('../../apps/sidecar/bin/dragoman.js', import.meta.url));
const BUNDLE = fileURLToPath(new URL('../../apps/sidecar/dist/bundle/main.js', import.meta.url));

/** `npm test` builds the command first; a run of single tests may not have it. */
export const built = existsSync(BUNDLE);
/** Skips what needs the built command, with this as the message; never in CI. */
export const skipUnbuilt = !built && process.env.CI !== 'true';
export const UNBUILT = skipUnbuilt ? ' (skipped: run `npm run build` for the dragoman command)' : '';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command finds around it. */
export interface SidecarOptions {
  /** Besides the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Listening sockets that it gets as systemd hands them over (`LISTEN_FDS`); they stay open here. */
  readonly listenFds?: readonly number[];
}

/** A new folder, with `config` as its `envoy.yaml`. */
export function folderWith(config: string | Message | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-cli-'));
  if (config !== undefined) writeConfig(folder, config);
  return folder;
}

export function writeConfig(folder: string, config: string | Message): void {
  writeFileSync(join(folder, 'envoy.yaml'), typeof config === 'string' ? config : JSON.stringify(config));
}

/** Becomes the command whose process id it has put into `LISTEN_PID`. */
const ACTIVATE = 'LISTEN_PID=$$ exec "$@"';

/** The `dragoman` command in a process and a folder of its own. */
export class Sidecar implements AsyncDisposable {
  readonly folder: string;
  readonly exit: Promise<Exit>;
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;

  protected constructor(
    folder: string,
    args: readonly string[],
    { env, listenFds = [] }: SidecarOptions = {},
  ) {
    this.folder = folder;
    const command = [process.execPath, BIN, ...args];
    const activated = listenFds.length > 0 ? ['sh', '-c', ACTIVATE, 'sh', ...command] : command;
    this.child = spawn(activated[0] as string, activated.slice(1), {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', ...listenFds],
      env: { ...process.env, ...env, ...(listenFds.length > 0 && { LISTEN_FDS: `${listenFds.length}` }) },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk;
    });
    this.exit = new Promise((resolve) => {
      this.child.once('close', (code, signal) =>
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }),
      );
    });
  }

  /** Runs to its end. `config` (text, or a message) becomes `envoy.yaml` in its folder. */
  static async run(
    args: readonly string[],
    config?: string | Message,
    options?: SidecarOptions,
  ): Promise<Exit> {
    await using sidecar = Sidecar.spawn(args, config, options);
    return await within(sidecar.exit, `dragoman ${args.join(' ')}`, 10_000);
  }

  /** Starts it and waits until it serves. */
  static async serve(
    config: string | Message,
    args: readonly string[] = [],
    options?: SidecarOptions,
  ): Promise<Sidecar> {
    const serving = ['-c', 'envoy.yaml', '--admin-address-path', 'admin.txt', ...args];
    const sidecar = Sidecar.spawn(serving, config, options);
    try {
      await eventually(() => {
        if (!sidecar.stderr.includes('starting main dispatch loop')) throw new Error(sidecar.stderr);
      }, 10_000);
    } catch (error) {
      await sidecar[Symbol.asyncDispose]();
      throw error;
    }
    return sidecar;
  }

  private static spawn(
    args: readonly string[],
    config?: string | Message,
    options?: SidecarOptions,
  ): Sidecar {
    return new Sidecar(folderWith(config), args, options);
  }

  get adminPort(): number {
    return Number(this.read('admin.txt').split(':').at(-1));
  }

  get pid(): number {
    return this.child.pid as number;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'latin1') : '';
  }

  /** Lines of a file of its folder. */
  lines(name: string): string[] {
    return this.read(name).split('\n').slice(0, -1);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The port of a listener, as the admin interface knows it. */
  async port(listener = 'http'): Promise<number> {
    const { body } = await this.admin('/listeners');
    const found = new RegExp(`^${listener}::.*:(\\d+)$`, 'm').exec(body.toString());
    if (found === null) throw new Error(`no listener ${listener} in ${body}`);
    return Number(found[1]);
  }

  async admin(path: string, method = 'GET'): Promise<RawResponse> {
    await using client = await rawClient({ port: this.adminPort });
    await client.write(`${method} ${path} HTTP/1.1\r\nhost: admin\r\n\r\n`);
    return await client.readResponse();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
