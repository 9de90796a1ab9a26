import type { Message } from '@dragoman/api';
import type { Clock, DiscoveredResource, Timer } from '@dragoman/core';
import { groupsOf } from '@dragoman/xds-sources';

/** As Envoy's client status discovery has it. */
export type ResourceStatus = 'REQUESTED' | 'DOES_NOT_EXIST' | 'ACKED' | 'NACKED' | 'TIMEOUT';

/** Why the last version was refused. */
export interface RefusedUpdate {
  readonly details: string;
  readonly version: string;
  /** Wall time in ms. */
  readonly at: number;
}

export interface KnownResource {
  readonly name: string;
  /** In use; undefined: no version was taken over. */
  readonly resource: DiscoveredResource | undefined;
  /** When it was taken over, wall time in ms. */
  readonly lastUpdated: number | undefined;
  readonly error: RefusedUpdate | undefined;
}

/** What is known of the resources of one type from one server, by canonical name. */
export class KnownResources implements Iterable<KnownResource> {
  private readonly clock: Clock;
  private readonly entries = new Map<string, KnownResource>();
  private readonly deadlines = new Map<string, number>();
  private readonly timer: Timer;
  private nextDeadline = Number.POSITIVE_INFINITY;
  /** No longer wanted, as the server may not have heard yet; with the time since when. */
  private readonly released = new Map<string, { readonly entry: KnownResource; readonly at: number }>();
  /** Some have had further names. */
  hasAliases = false;
  /** Asked for by name, and the server said that there is none. */
  private readonly absent = new Set<string>();

  /** @param onExpired gets names whose time is over; they are forgotten by then */
  constructor(clock: Clock, onExpired: (names: readonly string[]) => void) {
    this.clock = clock;
    this.timer = clock.timer(() => {
      const expired = this.expire();
      if (expired.length > 0) onExpired(expired);
    });
  }

  get size(): number {
    return this.entries.size;
  }

  [Symbol.iterator](): Iterator<KnownResource> {
    return this.entries.values();
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** The version in use. */
  get(name: string): DiscoveredResource | undefined {
    return this.entries.get(name)?.resource;
  }

  isAbsent(name: string): boolean {
    return this.absent.has(name);
  }

  /** Open names that have resources. */
  groups(): ReadonlySet<string> {
    return new Set(Array.from(this.entries.keys(), groupsOf).flat());
  }

  *versions(): Generator<readonly [name: string, version: string]> {
    for (const { resource } of this.entries.values())
      if (resource !== undefined) yield [resource.name, resource.version];
  }

  /** @param name canonical */
  accept(name: string, resource: DiscoveredResource, ttlMs: number | undefined): void {
    if (this.absent.size > 0) for (const one of [name, ...groupsOf(name)]) this.absent.delete(one);
    this.entries.set(name, { name, resource, lastUpdated: this.clock.wallTime(), error: undefined });
    this.hasAliases ||= (resource.aliases ?? []).length > 0;
    this.renew(name, ttlMs);
  }

  /** What was in use stays in use. */
  refuse(name: string, error: RefusedUpdate): void {
    const { resource, lastUpdated } = this.entries.get(name) ?? {};
    this.entries.set(name, { name, resource, lastUpdated, error });
  }

  /** @param ttlMs from now; undefined: without end */
  renew(name: string, ttlMs: number | undefined): void {
    if (ttlMs === undefined) {
      this.deadlines.delete(name);
      return;
    }
    const deadline = this.clock.now() + Math.max(0, ttlMs);
    this.deadlines.set(name, deadline);
    if (deadline < this.nextDeadline) this.arm(deadline);
  }

  /** The server says that there is none. */
  remove(name: string, stillWanted: boolean): void {
    this.forget(name);
    if (stillWanted) this.absent.add(name);
  }

  /** Nobody wants it any more. */
  forget(name: string): void {
    this.entries.delete(name);
    this.deadlines.delete(name);
    this.absent.delete(name);
  }

  /**
   * Drops what is no longer wanted.
   * @param revivable it can be had back for a while
   */
  keepOnly(wanted: (name: string, aliases: readonly string[]) => boolean, revivable: boolean): void {
    const at = this.clock.now();
    for (const [name, entry] of this.entries) {
      if (wanted(name, entry.resource?.aliases ?? [])) continue;
      const lasts = !this.deadlines.has(name);
      this.forget(name);
      if (revivable && lasts && entry.resource !== undefined) this.released.set(name, { entry, at });
    }
    for (const name of this.released.keys()) {
      if (this.released.size <= MAX_RELEASED) break;
      this.released.delete(name);
    }
    for (const name of this.absent) if (!wanted(name, [])) this.absent.delete(name);
  }

  /**
   * These are wanted again. A server that has not heard that they were not, because a response of its own was under way, will not send them
   * again; of one that has, newer versions follow soon.
   */
  revive(names: Iterable<string>): void {
    if (this.released.size === 0) return;
    const oldest = this.clock.now() - REVIVABLE_MS;
    for (const name of names) {
      const found = this.released.get(name);
      if (found !== undefined && found.at >= oldest && !this.entries.has(name))
        this.entries.set(name, found.entry);
      this.released.delete(name);
    }
    for (const [name, { at }] of this.released) if (at < oldest) this.released.delete(name);
  }

  /** A new stream: its server begins anew. */
  forgetReleased(): void {
    this.released.clear();
  }

  close(): void {
    this.released.clear();
    this.timer.disable();
    this.deadlines.clear();
  }

  private expire(): string[] {
    const now = this.clock.now();
    const expired: string[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [name, deadline] of this.deadlines) {
      if (deadline <= now) expired.push(name);
      else if (deadline < next) next = deadline;
    }
    for (const name of expired) this.forget(name);
    this.nextDeadline = Number.POSITIVE_INFINITY;
    if (next !== Number.POSITIVE_INFINITY) this.arm(next);
    return expired;
  }

  private arm(deadline: number): void {
    this.nextDeadline = deadline;
    this.timer.enable(Math.min(Math.max(0, deadline - this.clock.now()), MAX_DELAY_MS));
  }
}

/** Far longer than a request is under way, and so short that what comes back is not old. */
const REVIVABLE_MS = 10_000;
const MAX_RELEASED = 10_000;
/** What a timer takes; a time to live may be longer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** For reports: the message as it is in use. */
export function messageOf({ resource }: KnownResource): Message | undefined {
  return resource?.message;
}
