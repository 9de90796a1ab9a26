import type { Clock, Timer } from '@dragoman/core';
import { type HeapEntry, TimerHeap } from './timer-heap.ts';

/**
 * Time that moves only when a test says so. Timers fire in the order of their deadlines, those of one deadline in the
 * order in which they were enabled; while one fires, {@link now} is exactly its deadline.
 */
export class FakeClock implements Clock {
  private time: number;
  private readonly epochOffset: number;
  private readonly armed = new TimerHeap<FakeTimer>();
  private sequence = 0;

  /**
   * @param wallTimeMs what {@link wallTime} says at the start; default 2026-01-01T00:00:00Z
   * @param nowMs what {@link now} says at the start; default 1000, so that 0 stays "has not happened"
   */
  constructor(wallTimeMs = Date.UTC(2026, 0, 1), nowMs = 1000) {
    this.time = nowMs;
    this.epochOffset = wallTimeMs - nowMs;
  }

  now(): number {
    return this.time;
  }

  wallTime(): number {
    return this.epochOffset + this.time;
  }

  timer(callback: () => void): Timer {
    return new FakeTimer(this, callback);
  }

  /** Timers that are enabled. */
  get pendingTimers(): number {
    return this.armed.size;
  }

  /** Milliseconds until the next timer fires; undefined when none is enabled. */
  get nextTimerInMs(): number | undefined {
    const next = this.armed.first;
    return next === undefined ? undefined : next.deadline - this.time;
  }

  /** Moves time forward by `ms` (0 or more) and fires what falls due on the way, timers enabled on the way included. */
  advance(ms: number): void {
    const target = this.targetOf(ms);
    for (let due = this.earliest(target); due !== undefined; due = this.earliest(target)) this.fire(due);
    this.time = target;
  }

  /** As {@link advance}, but lets promises settle before the first timer, and after each. */
  async advanceAsync(ms: number): Promise<void> {
    const target = this.targetOf(ms);
    await settle();
    for (let due = this.earliest(target); due !== undefined; due = this.earliest(target)) {
      this.fire(due);
      await settle();
    }
    this.time = target;
  }

  /** @internal */
  enable(timer: FakeTimer, delayMs: number): void {
    this.armed.remove(timer);
    timer.deadline = this.time + Math.max(0, delayMs);
    timer.order = this.sequence++;
    this.armed.add(timer);
  }

  /** @internal */
  disable(timer: FakeTimer): void {
    this.armed.remove(timer);
  }

  private targetOf(ms: number): number {
    if (!(ms >= 0)) throw new RangeError(`time does not run backwards (${ms} ms)`);
    return this.time + ms;
  }

  private earliest(limit: number): FakeTimer | undefined {
    const { first } = this.armed;
    return first === undefined || first.deadline > limit ? undefined : first;
  }

  private fire(timer: FakeTimer): void {
    this.time = Math.max(this.time, timer.deadline);
    this.armed.remove(timer);
    timer.callback();
  }
}

class FakeTimer implements Timer, HeapEntry {
  index = -1;
  deadline = 0;
  order = 0;
  readonly callback: () => void;
  private readonly clock: FakeClock;

  constructor(clock: FakeClock, callback: () => void) {
    this.clock = clock;
    this.callback = callback;
  }

  get enabled(): boolean {
    return this.index >= 0;
  }

  enable(delayMs: number): void {
    this.clock.enable(this, delayMs);
  }

  disable(): void {
    this.clock.disable(this);
  }
}

/** Lets every promise that can settle without I/O do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
