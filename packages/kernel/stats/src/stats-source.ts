import type { StatAnnouncement, StatsAnnouncement, TextAnnouncement } from './announcement.ts';
import type { MergedGroup, MergedGroups } from './merged-groups.ts';
import {
  type MergedCounter,
  type MergedGauge,
  type MergedHistogram,
  MergedTextReadout,
  type Part,
  type SegmentView,
} from './merged-stats.ts';
import { CHUNK_SLOTS, confirmationOf } from './segment.ts';

/** Where the announcements of one thread go. */
export interface StatsSource {
  receive(announcement: StatsAnnouncement): void;
  /** The thread is gone: its counts and samples are kept, its gauges are dropped. */
  detach(): void;
}

/** What a source adds to. */
export interface StatsTarget {
  readonly groups: MergedGroups;
  readonly textReadouts: Map<string, MergedTextReadout>;
  obtain(stat: StatAnnouncement): MergedCounter | MergedGauge | MergedHistogram;
}

/** What a thread has of a stat. */
interface Share {
  readonly stat: MergedCounter | MergedGauge | MergedHistogram;
  readonly part: Part;
  /** Groups of the thread that it belongs to; Infinity: it stays. */
  owners: number;
}

interface ThreadGroup {
  readonly group: MergedGroup;
  readonly shares: Share[];
}

/** One thread as main sees it. */
export class AttachedSource implements StatsSource {
  readonly #target: StatsTarget;
  /** Its values are added to those of others, and keep no stat. */
  readonly #guest: boolean;
  readonly #segment: SegmentView = { chunks: [] };
  /** By the place of its first slot. */
  readonly #shares = new Map<number, Share>();
  readonly #groups = new Map<number, ThreadGroup>();
  #confirmation: Int32Array | undefined = undefined;
  #releases = 0;

  constructor(target: StatsTarget, guest: boolean) {
    this.#target = target;
    this.#guest = guest;
  }

  /** Bytes of shared memory that the thread has. */
  get byteLength(): number {
    return this.#segment.chunks.length * CHUNK_SLOTS * Float64Array.BYTES_PER_ELEMENT;
  }

  receive(announcement: StatsAnnouncement): void {
    switch (announcement.type) {
      case 'chunk':
        this.#segment.chunks[announcement.chunk] = new Float64Array(announcement.buffer);
        this.#confirmation ??= confirmationOf(announcement.buffer);
        this.#confirm();
        return;
      case 'group': {
        const group = this.#target.groups.join(announcement.key);
        this.#groups.set(announcement.group, { group, shares: [] });
        return;
      }
      case 'release':
        this.#release(announcement.group);
        return;
      case 'text':
        this.#receiveText(announcement);
        return;
      case 'stat':
        this.#receiveStat(announcement);
        return;
    }
  }

  detach(): void {
    for (const { stat, part } of this.#shares.values()) stat.removePart(part);
    this.#shares.clear();
    for (const { group } of this.#groups.values()) this.#target.groups.lose(group);
    this.#groups.clear();
  }

  #receiveText({ name, value, group }: TextAnnouncement): void {
    const { textReadouts, groups } = this.#target;
    let text = textReadouts.get(name);
    if (text === undefined) {
      text = new MergedTextReadout(name);
      textReadouts.set(name, text);
    }
    if (value !== undefined) text.set(value);
    else if (!this.#guest) groups.add(text, this.#groupOf(group)?.group);
  }

  #receiveStat(announcement: StatAnnouncement): void {
    const { chunk, slot } = announcement;
    const place = chunk * CHUNK_SLOTS + slot;
    let share = this.#shares.get(place);
    if (share === undefined) {
      const stat = this.#target.obtain(announcement);
      share = { stat, part: { segment: this.#segment, chunk, slot }, owners: 0 };
      stat.addPart(share.part);
      this.#shares.set(place, share);
    }
    const own = this.#groupOf(announcement.group);
    if (own === undefined) share.owners = Number.POSITIVE_INFINITY;
    else {
      own.shares.push(share);
      share.owners++;
    }
    if (!this.#guest) this.#target.groups.add(share.stat, own?.group);
  }

  #groupOf(id: number | undefined): ThreadGroup | undefined {
    return id === undefined ? undefined : this.#groups.get(id);
  }

  /** What only this group of the thread had is not read any more: the thread may use its slots again. */
  #release(id: number): void {
    const own = this.#groups.get(id);
    this.#groups.delete(id);
    for (const share of own?.shares ?? []) {
      if (--share.owners > 0) continue;
      const { stat, part } = share;
      stat.removePart(part);
      this.#shares.delete(part.chunk * CHUNK_SLOTS + part.slot);
    }
    if (own !== undefined) this.#target.groups.leave(own.group);
    this.#releases = (this.#releases + 1) | 0;
    this.#confirm();
  }

  #confirm(): void {
    if (this.#confirmation !== undefined) Atomics.store(this.#confirmation, 0, this.#releases);
  }
}
