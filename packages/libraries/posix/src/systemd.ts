import type { Clock, Timer } from '@dragoman/core';
import { sendDatagram } from './datagram.ts';

/** A socket that systemd opened. */
export interface ListenDescriptor {
  readonly fd: number;
  /** `FileDescriptorName=` of the socket unit: by default the unit's own name; `unknown` when nobody said. */
  readonly name: string;
}

/** What {@link ServiceNotifier} works with. */
export interface ServiceNotifierOptions {
  /** `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are read, once. */
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Pick<Clock, 'timer'>;
  /** Default: {@link sendDatagram}. */
  readonly send?: typeof sendDatagram;
  /** Microseconds of `CLOCK_MONOTONIC`, as `RELOADING=1` wants them. Default: the machine's. */
  readonly monotonicUs?: () => bigint;
  /** Who `WATCHDOG_PID` must name. Default: this process. */
  readonly pid?: number;
  /** Told of the first message that could not be sent, `FfiUnavailable` included; later ones get lost in silence. */
  readonly onError?: (error: Error) => void;
}

/** `SD_LISTEN_FDS_START` of sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3;

/** Linux's default `fs.nr_open`: no process has more. */
const MAX_DESCRIPTORS = 1_048_576;

const MAX_PID = 2 ** 31 - 1;

/**
 * The sockets of systemd's socket activation, as sd_listen_fds_with_names(3) reads them. They listen already:
 * `net.Server.listen({ fd })` takes one over.
 *
 * @param pid the process that `LISTEN_PID` must name; a variable that was inherited from a parent names another
 * @returns in the order of the unit files, from descriptor 3; empty when there are none or they are another process's
 * @throws Error that names the variable when `LISTEN_PID`, `LISTEN_FDS` or `LISTEN_FDNAMES` is malformed
 */
export function listenDescriptors(env: NodeJS.ProcessEnv, pid: number): ListenDescriptor[] {
  if (readNumber(env, 'LISTEN_PID', 1, MAX_PID) !== pid) return [];
  const count = readNumber(env, 'LISTEN_FDS', 0, MAX_DESCRIPTORS) ?? 0;
  const names = count > 0 ? env.LISTEN_FDNAMES?.split(':') : undefined;
  if (names !== undefined && names.length !== count) {
    throw new Error(`LISTEN_FDNAMES has ${names.length} names, LISTEN_FDS says ${count}: they must agree`);
  }
  return Array.from({ length: count }, (_, i) => ({
    fd: FIRST_DESCRIPTOR + i,
    name: names?.[i] ?? 'unknown',
  }));
}

/**
 * Tells the service manager how the process is, as sd_notify(3) does. Without `NOTIFY_SOCKET` every method does nothing.
 * No method throws: a message that cannot be sent is no reason to stop serving.
 */
export class ServiceNotifier {
  private readonly clock: Pick<Clock, 'timer'>;
  private readonly send: typeof sendDatagram;
  private readonly monotonicUs: () => bigint;
  private readonly watchdogIntervalMs: number | undefined;
  private socket: string | undefined;
  private onError: ((error: Error) => void) | undefined;
  private watchdog: Timer | undefined;

  /** @throws Error that names the variable when `WATCHDOG_USEC` or `WATCHDOG_PID` is malformed */
  constructor(options: ServiceNotifierOptions) {
    const { env, clock, send = sendDatagram, monotonicUs = machineMonotonicUs, pid = process.pid } = options;
    this.clock = clock;
    this.send = send;
    this.monotonicUs = monotonicUs;
    this.onError = options.onError;
    this.socket = env.NOTIFY_SOCKET || undefined;
    this.watchdogIntervalMs = this.socket === undefined ? undefined : readWatchdogInterval(env, pid);
  }

  /** Start-up, or a reload, is complete. @param status as for {@link status} */
  ready(status?: string): void {
    this.notify(status === undefined ? 'READY=1' : `READY=1\n${statusLine(status)}`);
  }

  /** Config is being reloaded; {@link ready} ends it. */
  reloading(): void {
    this.notify(`RELOADING=1\nMONOTONIC_USEC=${this.monotonicUs()}`);
  }

  /** The process drains and will end. */
  stopping(): void {
    this.notify('STOPPING=1');
  }

  /** Free text for `systemctl status`; line breaks become spaces. */
  status(text: string): void {
    this.notify(statusLine(text));
  }

  /** Another process is the service's main one from now on: the next epoch of a hot restart. */
  mainPid(pid: number): void {
    this.notify(`MAINPID=${pid}`);
  }

  /**
   * Shows signs of life, at once and after each half of `WATCHDOG_USEC`, while `healthy` says so: systemd restarts the service
   * when none has come for the whole of it. Does nothing when the unit has no `WatchdogSec=`, or it is another process's.
   *
   * @param healthy must not throw
   */
  startWatchdog(healthy: () => boolean): void {
    const intervalMs = this.watchdogIntervalMs;
    if (this.socket === undefined || intervalMs === undefined) return;
    this.watchdog?.disable();
    const beat = () => {
      watchdog.enable(intervalMs);
      if (healthy()) this.notify('WATCHDOG=1');
    };
    const watchdog = this.clock.timer(beat);
    this.watchdog = watchdog;
    beat();
  }

  /** Ends the watchdog; nothing is sent afterwards. */
  close(): void {
    this.watchdog?.disable();
    this.watchdog = undefined;
    this.socket = undefined;
  }

  private notify(message: string): void {
    if (this.socket === undefined) return;
    try {
      this.send(this.socket, message);
    } catch (error) {
      const { onError } = this;
      this.onError = undefined;
      onError?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** libuv's high-resolution time is `CLOCK_MONOTONIC` on Linux. */
function machineMonotonicUs(): bigint {
  return process.hrtime.bigint() / 1000n;
}

/** Every line of a message is an assignment of its own: a status must stay one line. */
function statusLine(text: string): string {
  return `STATUS=${text.replace(/[\r\n]+/g, ' ')}`;
}

function readWatchdogInterval(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const owner = readNumber(env, 'WATCHDOG_PID', 1, MAX_PID) ?? pid;
  const timeoutUs = readNumber(env, 'WATCHDOG_USEC', 1, Number.MAX_SAFE_INTEGER);
  return timeoutUs === undefined || owner !== pid ? undefined : timeoutUs / 2000;
}

function readNumber(env: NodeJS.ProcessEnv, name: string, min: number, max: number): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new Error(`${name} is '${text}': it must be a whole number from ${min} to ${max}`);
}
