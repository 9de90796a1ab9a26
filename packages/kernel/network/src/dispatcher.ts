import type { Clock } from '@dragoman/core';

/** Something with output gathered for the end of the event in hand. */
export interface Flushable {
  flush(): void;
}

/**
 * Gathers the output of everything that one event (a read, a timer) causes, and sends it when the event has been dealt
 * with: a response's head and body, or several pipelined responses, leave in one system call. One for each thread.
 *
 * Inside {@link enter} … {@link leave} (all socket events are) the flush comes at the end of the outermost event.
 * Outside, for instance in a timer or after a promise, it comes with the next microtask.
 */
export class Dispatcher {
  /** {@link Clock.now} when the event in hand began; 0 outside of events. */
  eventTime = 0;
  private readonly clock: Pick<Clock, 'now'>;
  private depth = 0;
  private queue: Flushable[] = [];
  private spare: Flushable[] = [];
  private microtask = false;
  private readonly runMicrotask = (): void => {
    this.microtask = false;
    this.flush();
  };

  /** @param clock of which {@link eventTime} is taken */
  constructor(clock: Pick<Clock, 'now'>) {
    this.clock = clock;
  }

  enter(): void {
    if (this.depth++ === 0) this.eventTime = this.clock.now();
  }

  leave(): void {
    if (--this.depth > 0) return;
    if (this.queue.length > 0) this.flush();
    this.eventTime = 0;
  }

  /** Asks for `target.flush()` at the end of this event. The target asks once until it has been flushed. */
  schedule(target: Flushable): void {
    this.queue.push(target);
    if (this.depth === 0 && !this.microtask) {
      this.microtask = true;
      queueMicrotask(this.runMicrotask);
    }
  }

  private flush(): void {
    const queue = this.queue;
    // A flush may schedule again (a write that fails closes a stream that answers): those go into the other array.
    this.queue = this.spare;
    this.spare = [];
    for (let i = 0; i < queue.length; i++) (queue[i] as Flushable).flush();
    queue.length = 0;
    this.spare = queue;
    if (this.queue.length > 0 && !this.microtask) {
      this.microtask = true;
      queueMicrotask(this.runMicrotask);
    }
  }
}
