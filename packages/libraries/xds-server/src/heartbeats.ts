import type { Clock, Timer } from '@dragoman/core';
import type { XdsResource } from './resource.ts';

/** Resources with a TTL that a client has, and when it must hear of them again: after half of the shortest TTL. */
export class Heartbeats {
  /** Time to call {@link take}. */
  due = false;
  readonly #kept = new Map<string, XdsResource>();
  readonly #timer: Timer;
  #shortestMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, wake: () => void) {
    this.#timer = clock.timer(() => {
      this.due = true;
      wake();
    });
  }

  get any(): boolean {
    return this.#kept.size > 0;
  }

  /** A resource was sent. */
  sent(one: XdsResource): void {
    if (one.ttlMs === undefined) {
      this.gone(one.name);
      return;
    }
    this.#kept.set(one.name, one);
    if (one.ttlMs < this.#shortestMs || !this.#timer.enabled) this.#arm();
  }

  /** The client no longer has it, or no longer asks for it. */
  gone(name: string): void {
    if (this.#kept.delete(name) && this.#kept.size === 0) this.stop();
  }

  /** All are gone that `keep` does not want. */
  retain(keep: (one: XdsResource) => boolean): void {
    for (const one of this.#kept.values()) if (!keep(one)) this.gone(one.name);
  }

  /** What to send a heartbeat for; the next is due half a TTL from now. */
  take(): readonly XdsResource[] {
    this.due = false;
    if (this.#kept.size > 0) this.#arm();
    return [...this.#kept.values()];
  }

  stop(): void {
    this.due = false;
    this.#shortestMs = Number.POSITIVE_INFINITY;
    this.#timer.disable();
  }

  #arm(): void {
    this.#shortestMs = Number.POSITIVE_INFINITY;
    for (const { ttlMs } of this.#kept.values())
      this.#shortestMs = Math.min(this.#shortestMs, ttlMs as number);
    this.#timer.enable(this.#shortestMs / 2);
  }
}
