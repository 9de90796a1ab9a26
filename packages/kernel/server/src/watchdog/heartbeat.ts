import type { Clock, Timer } from '@dragoman/core';

/**
 * Shared memory in which threads show that their event loops turn: a slot a thread, and in it a count of beats. Not a
 * time, since every thread has a clock of its own. 0 means that the thread does not beat: it is starting, or ending
 * on purpose. (A count that comes round to 0 after 2³² beats is watched again with its next one.)
 */
export class HeartbeatPage {
  /** To be posted to another thread, which makes its page with {@link of}. */
  readonly buffer: SharedArrayBuffer;
  private readonly slots: Int32Array<SharedArrayBuffer>;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.slots = new Int32Array(buffer);
  }

  /** A page of its own memory. `threads` ≥ 0. */
  static create(threads: number): HeartbeatPage {
    return new HeartbeatPage(new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT));
  }

  /** The page in `buffer`, which is another page's {@link buffer}. */
  static of(buffer: SharedArrayBuffer): HeartbeatPage {
    return new HeartbeatPage(buffer);
  }

  get threads(): number {
    return this.slots.length;
  }

  /** One beat. @throws RangeError when there is no slot `index` */
  touch(index: number): void {
    Atomics.add(this.slots, index, 1);
  }

  /** The thread beats no more and is not to be missed. @throws RangeError when there is no slot `index` */
  rest(index: number): void {
    Atomics.store(this.slots, index, 0);
  }

  /** Differs from what it was when the thread has beaten since; 0 while it does not beat. @throws RangeError when there is no slot `index` */
  count(index: number): number {
    return Atomics.load(this.slots, index);
  }
}

export interface HeartOptions {
  readonly page: HeartbeatPage;
  /** Of the thread's slot. */
  readonly index: number;
  /** `beatIntervalMs` of the timeouts its guard has. With 0 it does not beat. */
  readonly intervalMs: number;
  readonly clock: Clock;
}

/** The beating of the thread it is made on. A thread that is replaced gets a new heart on the same slot. */
export class Heart {
  private readonly page: HeartbeatPage;
  private readonly index: number;
  private readonly intervalMs: number;
  private readonly timer: Timer;

  constructor({ page, index, intervalMs, clock }: HeartOptions) {
    this.page = page;
    this.index = index;
    this.intervalMs = intervalMs;
    this.timer = clock.timer(() => this.beat());
  }

  /** Beats at once and from now on: the thread is watched. */
  start(): void {
    if (this.intervalMs > 0) this.beat();
  }

  /** The thread is not watched any more. */
  stop(): void {
    this.timer.disable();
    this.page.rest(this.index);
  }

  private beat(): void {
    this.page.touch(this.index);
    this.timer.enable(this.intervalMs);
  }
}
