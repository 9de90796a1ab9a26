import { constants } from 'node:os';
import type { Clock, Timer } from '@dragoman/core';
import { BindError, type BoundSocket } from './bound-socket.ts';
import { type ChildLike, Epoch } from './epoch.ts';
import type { SupervisorLog } from './log.ts';
import { ParentRelay } from './parent-relay.ts';
import {
  type EndingSignal,
  type EpochMessage,
  type Hello,
  isMessage,
  PROTOCOL_VERSION,
  type SocketsRequest,
} from './protocol.ts';
import type { HeldSockets, SocketBook } from './socket-book.ts';

/** Tells the service manager; `ServiceNotifier` of `@dragoman/posix` is one. */
export interface Notifier {
  ready(status?: string): void;
  reloading(): void;
  stopping(): void;
  startWatchdog(healthy: () => boolean): void;
  close(): void;
}

/** Where signals come from: `process`. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

export interface SupervisorOptions {
  /** Starts the process of an epoch, with an IPC channel. May throw. */
  readonly spawn: (epoch: number) => ChildLike;
  readonly sockets: SocketBook;
  readonly clock: Clock;
  readonly log: SupervisorLog;
  /** Called once, when no epoch is left. 0 … 255. */
  readonly exit: (code: number) => void;
  readonly signals: SignalSource;
  readonly notifier?: Notifier;
  /** How long a new epoch may take to be live, ms; 0: for ever. Default 60,000. */
  readonly startTimeoutMs?: number;
  /** How long an old epoch may drain, ms (`--parent-shutdown-time-s`). Default 900,000. */
  readonly parentShutdownMs?: number;
  /** From being told to end to SIGKILL, ms: longer than a proxy waits for workers that hang. Default 10,000. */
  readonly killDelayMs?: number;
  /** How long a parent may take to answer, ms. Default 5,000. */
  readonly answerTimeoutMs?: number;
  /** Old epochs that drain at the same time: with one more the oldest is told to end. At least 1; default 10. */
  readonly maxDraining?: number;
}

const SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR1'] as const;

/**
 * Runs one epoch of the proxy after another: `SIGHUP` starts the next one, which gets the sockets that there are; when it
 * is live the one before drains, and when it fails the one before serves on.
 */
export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly clock: Clock;
  private readonly log: SupervisorLog;
  private readonly sockets: SocketBook;
  private readonly notifier: Notifier | undefined;
  private readonly killDelayMs: number;
  private readonly parentShutdownMs: number;
  private readonly relay: ParentRelay;
  /** In the order in which they were started. */
  private readonly epochs = new Set<Epoch>();
  private current: Epoch | undefined = undefined;
  private starting: Epoch | undefined = undefined;
  private restartWanted = false;
  /** No epoch is started any more; the process exits with the last one. */
  private ending = false;
  private exitCode = 0;
  /** For an epoch that does not end although it was told to. */
  private readonly lastResort: Timer;
  private readonly onSignal = (signal: NodeJS.Signals) => this.signalled(signal);

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.clock = options.clock;
    this.log = options.log;
    this.sockets = options.sockets;
    this.notifier = options.notifier;
    this.killDelayMs = options.killDelayMs ?? 10_000;
    this.parentShutdownMs = options.parentShutdownMs ?? 900_000;
    this.relay = new ParentRelay(this.clock, this.log, options.answerTimeoutMs ?? 5000);
    this.lastResort = this.clock.timer(() => {
      for (const epoch of this.epochs) epoch.child.kill('SIGKILL');
    });
  }

  /** Starts epoch 0. */
  start(): void {
    for (const signal of SIGNALS) this.options.signals.on(signal, this.onSignal);
    this.launch();
  }

  private launch(): void {
    const number = this.current === undefined ? 0 : this.current.number + 1;
    let child: ChildLike;
    try {
      child = this.options.spawn(number);
    } catch (error) {
      this.startFailed(`epoch ${number}`, `it cannot be started: ${(error as Error).message}`, 1);
      return;
    }
    const epoch = new Epoch(number, child, this.current, this.clock);
    this.epochs.add(epoch);
    this.starting = epoch;
    const { startTimeoutMs = 60_000 } = this.options;
    if (startTimeoutMs > 0) {
      epoch.after(startTimeoutMs, () =>
        this.giveUp(epoch, `it is not live after ${startTimeoutMs / 1000} s`),
      );
    }
    child.on('message', (message) => {
      if (isMessage(message) && epoch.state !== 'ended') this.received(epoch, message as EpochMessage);
    });
    child.on('error', (error) => {
      this.log('error', `${epoch.text}: ${error.message}`);
      if (child.pid === undefined) this.ended(epoch, 1, null);
    });
    epoch.onceEnded((code, signal) => this.ended(epoch, code, signal));
    this.log('info', `started ${epoch.text}`);
  }

  private received(epoch: Epoch, message: EpochMessage): void {
    if (message.kind === 'hello') this.greet(epoch, message);
    // Nothing is agreed upon before, and afterwards all of the protocol is.
    if (!epoch.greeted) return;
    switch (message.kind) {
      case 'sockets':
        void this.handOver(epoch, message);
        break;
      case 'release':
        this.sockets.release(epoch, message.key);
        break;
      case 'admin-takeover':
      case 'parent-stats':
        this.relay.ask(epoch, message);
        break;
      case 'stats-answer':
        this.relay.answered(epoch, message);
        break;
      case 'final-stats':
        epoch.finalStats = message.stats;
        break;
      case 'exiting':
        epoch.exiting = true;
        break;
      case 'pong':
        epoch.alive = true;
        break;
      case 'live':
        this.becameLive(epoch);
    }
  }

  private greet(epoch: Epoch, { protocol, epoch: number }: Hello): void {
    if (protocol !== PROTOCOL_VERSION) {
      const versions = `it speaks version ${protocol} of the protocol, this supervisor version ${PROTOCOL_VERSION}`;
      this.giveUp(epoch, `${versions}: stop the supervisor and start it anew to change its own version`);
      return;
    }
    if (number !== epoch.number) this.log('warning', `${epoch.text} takes itself for epoch ${number}`);
    epoch.greeted = true;
  }

  private async handOver(epoch: Epoch, request: SocketsRequest): Promise<void> {
    const { id, key } = request;
    let held: HeldSockets;
    try {
      held = await this.sockets.request(epoch, request);
    } catch (error) {
      if (epoch.state === 'ended') return;
      const { message } = error as Error;
      const code = error instanceof BindError ? error.code : 'EINVAL';
      this.log('warning', `no sockets for "${key}" of ${epoch.text}: ${message}`);
      epoch.send({ kind: 'sockets-failed', id, code, message });
      return;
    }
    const { sockets, address } = held;
    sockets.forEach((socket: BoundSocket, index) => {
      epoch.send({ kind: 'socket', id, index, of: sockets.length, address }, socket);
    });
  }

  private becameLive(epoch: Epoch): void {
    // One that has exited since it said so serves nobody.
    if (epoch !== this.starting || epoch.state !== 'starting' || epoch.exited || this.ending) return;
    const old = this.current;
    this.starting = undefined;
    this.current = epoch;
    epoch.state = 'live';
    epoch.nothingDue();
    this.log('info', `${epoch.text} is live`);
    if (old !== undefined) this.drain(old);
    this.settled(`epoch ${epoch.number} is live`);
    if (old === undefined) this.notifier?.startWatchdog(() => this.showsLife());
  }

  /** Whether the current epoch has answered since it was asked last; asks anew. */
  private showsLife(): boolean {
    const { current } = this;
    if (current?.state !== 'live') return false;
    const { alive } = current;
    current.alive = false;
    current.send({ kind: 'ping' });
    return alive;
  }

  private drain(old: Epoch): void {
    old.state = 'draining';
    old.send({ kind: 'drain' });
    old.after(this.parentShutdownMs, () => {
      this.log('warning', `${old.text} has not ended within ${this.parentShutdownMs / 1000} s: ending it`);
      old.terminate(this.killDelayMs);
    });
    const draining = [...this.epochs].filter(({ state }) => state === 'draining');
    const { maxDraining = 10 } = this.options;
    for (const oldest of draining.slice(0, Math.max(0, draining.length - maxDraining))) {
      this.log('warning', `more than ${maxDraining} old epochs drain: ending ${oldest.text}`);
      oldest.terminate(this.killDelayMs);
    }
  }

  /** A start is over, for better or worse. */
  private settled(status: string): void {
    this.notifier?.ready(status);
    if (!this.restartWanted) return;
    this.restartWanted = false;
    this.restart();
  }

  private restart(): void {
    if (this.starting !== undefined) {
      this.log('info', `another restart is due when ${this.starting.text} has started`);
      this.restartWanted = true;
      return;
    }
    this.notifier?.reloading();
    this.launch();
  }

  /** What comes next is decided when it is gone: until then it may listen. */
  private giveUp(epoch: Epoch, why: string): void {
    if (epoch.state !== 'starting') return;
    this.log('error', `${epoch.text}: ${why}; ending it`);
    epoch.state = 'leaving';
    epoch.child.kill('SIGTERM');
    epoch.killAfter(this.killDelayMs);
  }

  private ended(epoch: Epoch, code: number | null, signal: NodeJS.Signals | null): void {
    if (epoch.state === 'ended') return;
    const { state } = epoch;
    epoch.state = 'ended';
    epoch.nothingDue();
    this.epochs.delete(epoch);
    this.sockets.releaseAll(epoch);
    this.relay.ended(
      epoch,
      [...this.epochs].filter(({ parent }) => parent === epoch),
    );
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
    const wasStarting = epoch === this.starting;
    if (wasStarting) this.starting = undefined;
    if (this.ending) {
      this.log('info', `${epoch.text} ${how}`);
      if (epoch === this.current || this.current === undefined) this.exitCode = codeOf(code, signal);
      this.finishIfAlone();
    } else if (wasStarting) {
      // One that we ended is no success, whatever it says.
      const ownCode = signal === null ? (code ?? 1) : 1;
      this.startFailed(epoch.text, `it ${how}`, state === 'leaving' ? ownCode || 1 : ownCode);
    } else if (epoch === this.current) {
      this.exitCode = codeOf(code, signal);
      const { starting } = this;
      if (starting?.greeted === true && starting.state === 'starting' && !epoch.exiting) {
        // It is on its way to take over anyway; when it fails there is nobody left.
        this.log('error', `${epoch.text} ${how}: waiting for ${starting.text}`);
        this.current = undefined;
        return;
      }
      this.log(epoch.exiting ? 'info' : 'error', `${epoch.text} ${how}: ending`);
      this.endAll();
    } else this.log('info', `${epoch.text} ${how}`);
  }

  private startFailed(name: string, why: string, code: number): void {
    const { current } = this;
    if (current === undefined) {
      this.log(code === 0 ? 'info' : 'error', `${name} has ended before it was live: ${why}`);
      // When the current one has died meanwhile, its code says more.
      this.exitCode ||= code;
      this.ending = true;
      this.finishIfAlone();
      return;
    }
    this.log('error', `${name} has failed before it was live: ${why}; ${current.text} serves on`);
    current.send({ kind: 'resume' });
    this.settled(`epoch ${current.number} is live; a restart has failed`);
  }

  private signalled(signal: NodeJS.Signals): void {
    switch (signal) {
      case 'SIGHUP':
        if (this.ending) this.log('info', 'SIGHUP ignored: ending');
        else this.restart();
        break;
      case 'SIGUSR1':
        // One that has not said hello may have no handler yet, and has no log to reopen.
        for (const { greeted, child } of this.epochs) if (greeted) child.kill(signal);
        break;
      case 'SIGTERM':
      case 'SIGINT':
        this.stop(signal);
    }
  }

  /** The epochs drain by themselves, and say which sockets they have done with. */
  private stop(signal: EndingSignal): void {
    this.log('info', `${signal}: ending`);
    if (!this.ending) {
      this.ending = true;
      this.notifier?.stopping();
      this.lastResort.enable(this.parentShutdownMs + this.killDelayMs);
    }
    for (const epoch of this.epochs) {
      // Told, it knows one from another: sent to a whole group, the signal has reached it by itself.
      if (!epoch.greeted || !epoch.send({ kind: 'signal', signal })) epoch.child.kill(signal);
    }
    this.finishIfAlone();
  }

  private endAll(): void {
    this.ending = true;
    this.notifier?.stopping();
    for (const epoch of this.epochs) {
      // One that starts may not listen to us yet.
      if (epoch === this.starting) epoch.child.kill('SIGTERM');
      epoch.terminate(this.killDelayMs);
    }
    this.finishIfAlone();
  }

  private finishIfAlone(): void {
    if (this.epochs.size > 0) return;
    for (const signal of SIGNALS) this.options.signals.off(signal, this.onSignal);
    this.lastResort.disable();
    this.sockets.close();
    this.notifier?.close();
    this.options.exit(this.exitCode);
  }
}

/** As shells have it: 128 and the signal's number. */
function codeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}
