import type { Clock, Timer } from '@dragoman/core';
import type { BoundSocket } from './bound-socket.ts';
import type { SupervisorMessage } from './protocol.ts';

/** What is used of Node's `ChildProcess`. */
export interface ChildLike {
  /** Undefined when it could not be started: an `error` follows. */
  readonly pid?: number | undefined;
  readonly connected: boolean;
  send(
    message: object,
    handle: undefined,
    options: undefined,
    callback: (error: Error | null) => void,
  ): boolean;
  kill(signal: NodeJS.Signals): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number | null, signal: NodeJS.Signals | null) => void): unknown;
  /** The last message has been read. */
  on(event: 'disconnect', listener: () => void): unknown;
}

/** starting → live → draining, and from each `ended`; `leaving`: told to go at once. */
export type EpochState = 'starting' | 'live' | 'draining' | 'leaving' | 'ended';

/** Whatever an epoch has started may hold the channel open: the bound for its last messages. */
const LAST_MESSAGES_MS = 1000;

/** One process of the proxy, as the supervisor sees it. */
export class Epoch {
  readonly number: number;
  readonly child: ChildLike;
  state: EpochState = 'starting';
  /** Has said hello in our protocol. */
  greeted = false;
  /** Has said that its exit is meant. */
  exiting = false;
  /** The process is gone; its last messages may still come. */
  exited = false;
  /** Whether it has answered the last question for a sign of life. */
  alive = true;
  /** Whose stats and admin interface it takes over; undefined when there is none, or none any more. */
  parent: Epoch | undefined;
  /** The last of its stats, from when it said so until somebody had it. */
  finalStats: unknown = undefined;
  /** What is due next: the end of the start, the shutdown of a parent, or the kill. */
  private readonly timer: Timer;
  private onDue: () => void = () => {};
  private readonly clock: Clock;

  constructor(number: number, child: ChildLike, parent: Epoch | undefined, clock: Clock) {
    this.number = number;
    this.child = child;
    this.parent = parent;
    this.clock = clock;
    this.timer = clock.timer(() => this.onDue());
  }

  /** For logs: `epoch 1 (pid 4711)`. */
  get text(): string {
    return `epoch ${this.number} (pid ${this.child.pid ?? 'none'})`;
  }

  /** Runs `action` after `delayMs`, in place of what was due before. */
  after(delayMs: number, action: () => void): void {
    this.onDue = action;
    this.timer.enable(delayMs);
  }

  nothingDue(): void {
    this.timer.disable();
  }

  /** Lost when the epoch is gone or has closed the channel. @returns false when it is known to be lost */
  send(message: SupervisorMessage, socket?: BoundSocket): boolean {
    if (this.state === 'ended' || !this.child.connected) return false;
    // The types know the sockets of `node:net` only; Node passes libuv's handles as they are too.
    this.child.send(message, socket as undefined, undefined, () => {});
    return true;
  }

  /** `terminate` over the channel, or SIGTERM without one; SIGKILL after `killDelayMs`. */
  terminate(killDelayMs: number): void {
    this.state = 'leaving';
    if (!this.send({ kind: 'terminate' })) this.child.kill('SIGTERM');
    this.killAfter(killDelayMs);
  }

  /**
   * Calls `then` once: when the process has exited and its last message has been read. (`close` would say that, but does not
   * come when the channel was closed before.)
   */
  onceEnded(then: (code: number | null, signal: NodeJS.Signals | null) => void): void {
    const { child } = this;
    child.on('exit', (code, signal) => {
      this.exited = true;
      this.nothingDue();
      const bound = this.clock.timer(() => end());
      const end = () => {
        bound.disable();
        if (this.state !== 'ended') then(code, signal);
      };
      if (!child.connected) {
        end();
        return;
      }
      child.on('disconnect', end);
      bound.enable(LAST_MESSAGES_MS);
    });
  }

  killAfter(delayMs: number): void {
    this.after(delayMs, () => this.child.kill('SIGKILL'));
  }
}
