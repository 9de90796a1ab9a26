import type { Clock, Counter, Logger, StatsScope, Timer } from '@dragoman/core';
import type { HeartbeatPage } from './heartbeat.ts';
import { lookIntervalMs, type WatchdogTimeouts } from './timeouts.ts';

/** `kill_timeout`, or `multikill_timeout` together with other threads. */
export type KillReason = 'kill' | 'multikill';

export interface WatchedThread {
  /** Envoy's: `main_thread`, `worker_0`, … */
  readonly name: string;
  /** Of its slot in the page. */
  readonly index: number;
}

export interface GuardDogOptions {
  /** Whom it guards, the prefix of the sums: `main_thread.watchdog_miss`, `workers.watchdog_miss`. */
  readonly name: 'main_thread' | 'workers';
  readonly watched: readonly WatchedThread[];
  readonly timeouts: WatchdogTimeouts;
  readonly page: HeartbeatPage;
  /** Of the thread that the guard is on, which must not be one of the watched. */
  readonly clock: Clock;
  /** The root scope of that thread. */
  readonly stats: StatsScope;
  readonly logger: Logger;
  /** To end a thread. Called once a stall, after all threads have been looked at; it may call the guard back. */
  onKill(thread: string, index: number, reason: KillReason): void;
}

/** What the guard knows of one thread. */
class Dog {
  readonly thread: WatchedThread;
  readonly misses: Counter;
  readonly megamisses: Counter;
  /** The count of its last beat that was seen. */
  beats = 0;
  /** It has beaten since it was started. */
  alive = false;
  /** Without a beat, ms. */
  stuckMs = 0;
  missed = false;
  megamissed = false;
  killed = false;

  constructor(thread: WatchedThread, stats: StatsScope) {
    const scope = stats.scope('server').scope(thread.name);
    this.thread = thread;
    this.misses = scope.counter('watchdog_miss');
    this.megamisses = scope.counter('watchdog_mega_miss');
  }

  /** From here on a next stall. */
  settle(beats: number, alive: boolean): void {
    this.beats = beats;
    this.alive = alive;
    this.stuckMs = 0;
    this.missed = false;
    this.megamissed = false;
    this.killed = false;
  }
}

/**
 * Looks at the beats of other threads, counts those that are stuck under Envoy's names and asks for their end. A thread is
 * watched from its first beat that the guard sees until it rests. A stall is as long as the guard has looked at it: up to an
 * interval longer than that in truth.
 *
 * Its own thread may be blocked too, or the whole process be stopped for a while. A beat in that time is seen all the
 * same, being counted; but a thread that shows none may only not have had its turn yet. So the first look that comes an
 * interval late blames nobody, and the time between two looks counts for two intervals at most. When looks are
 * late again and again, only the first of them is let pass.
 */
export class GuardDog {
  private readonly options: GuardDogOptions;
  private readonly dogs: readonly Dog[];
  private readonly misses: Counter;
  private readonly megamisses: Counter;
  private readonly intervalMs: number;
  private readonly timer: Timer;
  private lookedAt = 0;
  private late = false;

  constructor(options: GuardDogOptions) {
    const { name, watched, timeouts, clock, stats } = options;
    this.options = options;
    this.dogs = watched.map((thread) => new Dog(thread, stats));
    this.misses = stats.scope(name).counter('watchdog_miss');
    this.megamisses = stats.scope(name).counter('watchdog_mega_miss');
    this.intervalMs = lookIntervalMs(timeouts);
    this.timer = clock.timer(() => this.look());
  }

  /** Looks from now on, every `lookIntervalMs`; not at all when every timeout is off. */
  start(): void {
    if (this.intervalMs === 0) return;
    for (const dog of this.dogs) this.forget(dog);
    this.lookedAt = this.options.clock.now();
    this.late = false;
    this.timer.enable(this.intervalMs);
  }

  stop(): void {
    this.timer.disable();
  }

  /** The thread of slot `index` has ended; whoever beats there next is another, watched from its first beat. */
  restarted(index: number): void {
    for (const dog of this.dogs) if (dog.thread.index === index) this.forget(dog);
  }

  private forget(dog: Dog): void {
    dog.settle(this.options.page.count(dog.thread.index), false);
  }

  private look(): void {
    // First, so that a callback can stop it.
    this.timer.enable(this.intervalMs);
    const passedMs = this.passedMs();
    for (const dog of this.dogs) this.check(dog, passedMs);
    // A callback may end more than its own thread.
    for (const [dog, reason] of this.condemned()) if (dog.alive) this.kill(dog, reason);
  }

  /** How much of the time since the last look counts. */
  private passedMs(): number {
    const now = this.options.clock.now();
    const passed = now - this.lookedAt;
    const wasLate = this.late;
    this.lookedAt = now;
    this.late = passed >= 2 * this.intervalMs;
    if (this.late && !wasLate) return 0;
    // A timer may be early by a fraction: five looks of 200 ms are to make a second.
    return Math.max(this.intervalMs, Math.min(passed, 2 * this.intervalMs));
  }

  private check(dog: Dog, passedMs: number): void {
    const beats = this.options.page.count(dog.thread.index);
    if (beats !== dog.beats) {
      if (dog.megamissed && beats !== 0) {
        const { name } = dog.thread;
        this.options.logger.info(`watchdog: thread ${name} turns again after ${milliseconds(dog.stuckMs)}`);
      }
      dog.settle(beats, beats !== 0);
      return;
    }
    if (!dog.alive) return;
    dog.stuckMs += passedMs;
    const { missMs, megamissMs } = this.options.timeouts;
    if (!dog.missed && reached(dog, missMs)) {
      dog.missed = true;
      dog.misses.inc();
      this.misses.inc();
    }
    if (!dog.megamissed && reached(dog, megamissMs)) {
      dog.megamissed = true;
      dog.megamisses.inc();
      this.megamisses.inc();
      this.options.logger.warn(
        `watchdog: thread ${dog.thread.name} has been stuck for ${milliseconds(dog.stuckMs)}; something on it computes or blocks for too long`,
      );
    }
  }

  /** Whom to end now. A thread whose end was asked for and that is still stuck counts for the others' sake. */
  private condemned(): [Dog, KillReason][] {
    const { killMs, multikillMs, multikillThreshold } = this.options.timeouts;
    const alive = this.dogs.filter((dog) => dog.alive);
    const together = alive.filter((dog) => reached(dog, multikillMs));
    const needed = Math.max(2, Math.ceil((multikillThreshold * alive.length) / 100));
    const many = together.length >= needed;
    return alive
      .filter((dog) => !dog.killed && (reached(dog, killMs) || (many && together.includes(dog))))
      .map((dog) => [dog, reached(dog, killMs) ? 'kill' : 'multikill']);
  }

  private kill(dog: Dog, reason: KillReason): void {
    const { name, index } = dog.thread;
    dog.killed = true;
    this.options.logger.error(
      `watchdog: thread ${name} has been stuck for ${milliseconds(dog.stuckMs)} and is ended (${reason}_timeout)`,
    );
    this.options.onKill(name, index, reason);
  }
}

function reached(dog: Dog, timeoutMs: number): boolean {
  return timeoutMs > 0 && dog.stuckMs >= timeoutMs;
}

function milliseconds(ms: number): string {
  return `${Math.round(ms)} ms`;
}
