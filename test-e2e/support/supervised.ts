import { eventually, rawClient } from '@dragoman/testing';
import type { Message } from './config.ts';
import { folderWith, Sidecar, type SidecarOptions, writeConfig } from './sidecar.ts';

/** For an epoch to start, on a machine that is busy. */
export const START_PATIENCE_MS = 20_000;

/** What is looked at of `/server_info`. */
export interface ServerInfo {
  readonly state: string;
  readonly hot_restart_version: string;
  readonly uptime_current_epoch: string;
  readonly uptime_all_epochs: string;
  readonly command_line_options: { readonly restart_epoch: number };
}

/** `dragoman supervise`, in a process and a folder of its own, with the processes that it starts. */
export class Supervised extends Sidecar {
  private readonly adminHost: string;
  private readonly adminAt: number | undefined;

  private constructor(config: Message, args: readonly string[], options?: SidecarOptions) {
    const serving = ['-c', 'envoy.yaml', '--admin-address-path', 'admin.txt', ...args];
    super(folderWith(config), ['supervise', '--', ...serving], options);
    const admin = adminAddress(config);
    this.adminHost = admin.address;
    this.adminAt = admin.port_value === 0 ? undefined : admin.port_value;
  }

  /** Starts it and waits until epoch 0 serves. */
  static override async serve(
    config: Message,
    args: readonly string[] = [],
    options?: SidecarOptions,
  ): Promise<Supervised> {
    const supervised = new Supervised(config, args, options);
    try {
      await supervised.untilServing(0);
    } catch (error) {
      await supervised[Symbol.asyncDispose]();
      throw error;
    }
    return supervised;
  }

  /** The fixed one of its config, else that of the epoch that has written it last. */
  override get adminPort(): number {
    return this.adminAt ?? super.adminPort;
  }

  /** For the next epoch. */
  configure(config: Message): void {
    writeConfig(this.folder, config);
  }

  /** What supervisor and epochs have logged, a line each. */
  get log(): string[] {
    return this.stderr.split('\n');
  }

  /** Waits for a line of the log. @returns how often there is one */
  logged(pattern: RegExp, times = 1): Promise<number> {
    return eventually(() => {
      const found = this.log.filter((line) => pattern.test(line)).length;
      if (found < times) throw new Error(`${found} of ${times} lines like ${pattern} in:\n${this.stderr}`);
      return found;
    }, START_PATIENCE_MS);
  }

  /** The process of an epoch. @throws Error when it was not started */
  pidOf(epoch: number): number {
    const found = new RegExp(`\\[supervisor\\] started epoch ${epoch} \\(pid (\\d+)\\)`).exec(this.stderr);
    if (found === null) throw new Error(`epoch ${epoch} was not started: ${this.stderr}`);
    return Number(found[1]);
  }

  /** Waits until an epoch is the live one and its admin interface answers. */
  async untilServing(epoch: number): Promise<ServerInfo> {
    await this.logged(new RegExp(`\\[supervisor\\] epoch ${epoch} \\(pid \\d+\\) is live$`));
    return eventually(async () => {
      const info = await this.serverInfo();
      const { restart_epoch } = info.command_line_options;
      if (restart_epoch !== epoch) throw new Error(`epoch ${restart_epoch} answers instead of ${epoch}`);
      if (info.state !== 'LIVE') throw new Error(`epoch ${epoch} is ${info.state}`);
      return info;
    }, START_PATIENCE_MS);
  }

  /** Waits until an epoch has ended. */
  async untilEnded(epoch: number): Promise<void> {
    await this.logged(
      new RegExp(`\\[supervisor\\] epoch ${epoch} \\(pid \\d+\\) (has failed|exited|was ended)`),
    );
  }

  /** SIGHUP. @returns what the next epoch, which must be `epoch`, says of itself once it is live */
  restart(epoch: number): Promise<ServerInfo> {
    this.kill('SIGHUP');
    return this.untilServing(epoch);
  }

  async serverInfo(): Promise<ServerInfo> {
    const { body } = await this.admin('/server_info');
    return JSON.parse(body.toString()) as ServerInfo;
  }

  /** Counters and gauges whose names match, by name. */
  async stats(filter: string, type = 'All'): Promise<Map<string, number>> {
    const { body } = await this.admin(`/stats?type=${type}&filter=${encodeURIComponent(filter)}`);
    const lines = body
      .toString()
      .split('\n')
      .flatMap((line) => {
        const [name, value] = line.split(': ');
        return /^\d+$/.test(value ?? '') ? [[name, Number(value)] as const] : [];
      });
    return new Map(lines);
  }

  async stat(name: string): Promise<number> {
    const value = (await this.stats(`^${name.replaceAll('.', '\\.')}$`)).get(name);
    if (value === undefined) throw new Error(`there is no stat ${name}`);
    return value;
  }

  override async admin(path: string, method = 'GET') {
    await using client = await rawClient({ host: this.adminHost, port: this.adminPort });
    await client.write(`${method} ${path} HTTP/1.1\r\nhost: admin\r\n\r\n`);
    return await client.readResponse();
  }

  /** Processes of epochs that are there. */
  get runningEpochs(): number[] {
    const started = [...this.stderr.matchAll(/\[supervisor\] started epoch \d+ \(pid (\d+)\)/g)];
    return started.map((match) => Number(match[1])).filter((pid) => this.isRunning(pid));
  }

  /** Its log says when an epoch has ended: its number may be another process's by then. */
  private isRunning(pid: number): boolean {
    if (new RegExp(`\\(pid ${pid}\\).* (exited with|was ended by)`).test(this.stderr)) return false;
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    // First the supervisor: it would start nothing more, but log deaths that nobody asks about.
    this.kill('SIGKILL');
    for (const pid of this.runningEpochs) process.kill(pid, 'SIGKILL');
    // One whose start was not read of yet holds the pipes: it is told by the end of its supervisor, and read of now.
    const late = setInterval(() => {
      for (const pid of this.runningEpochs) process.kill(pid, 'SIGKILL');
    }, 50);
    this.exit.finally(() => clearInterval(late));
    await super[Symbol.asyncDispose]();
  }
}

interface SocketAddress {
  readonly address: string;
  readonly port_value: number;
}

function adminAddress(config: Message): SocketAddress {
  const { admin } = config as {
    readonly admin: { readonly address: { readonly socket_address: SocketAddress } };
  };
  return admin.address.socket_address;
}
