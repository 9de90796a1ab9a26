import { type FSWatcher, statSync, watch } from 'node:fs';
import type { Clock, Timer } from '@dragoman/core';

/** Events of one change come in a bunch, and files of a set are written one after the other. */
const SETTLE_MS = 100;
/** A folder that never comes to rest is told of all the same, after so many times {@link SETTLE_MS}. */
const MAX_SETTLES = 10;
/** How often a folder is looked for that cannot be watched: it is gone, or the system has no watches left. */
const RETRY_MS = 5000;

export interface FolderWatchOptions {
  readonly clock: Clock;
  /**
   * Something has happened in these folders. None: a folder could not be watched, or {@link FolderWatch.touch} asked, and something may have
   * happened. It may call {@link FolderWatch.follow}; it must not throw.
   */
  onChange(folders: ReadonlySet<string>): void;
  /** How long a folder must be quiet before its change is told, ms; default 100. */
  readonly settleMs?: number | undefined;
}

interface Watched {
  readonly watcher: FSWatcher;
  /** What is watched: a folder of the same name that comes later is another one. */
  readonly id: string;
}

/** Says when something has happened in folders (not in those below them). Keeps no process alive. */
export class FolderWatch {
  private readonly options: FolderWatchOptions;
  private readonly settleMs: number;
  private readonly timer: Timer;
  private wanted: ReadonlySet<string> = new Set();
  private readonly watched = new Map<string, Watched>();
  private events = new Set<string>();
  /** When the first of the events came that are not told yet; 0: there are none. */
  private since = 0;
  private closed = false;

  constructor(options: FolderWatchOptions) {
    this.options = options;
    this.settleMs = options.settleMs ?? SETTLE_MS;
    this.timer = options.clock.timer(() => this.look());
  }

  /** Watches these folders from now on, and no others. What happened in them before is not told: read, or {@link touch}, after this. */
  follow(folders: Iterable<string>): void {
    if (this.closed) return;
    this.wanted = new Set(folders);
    this.arm();
  }

  /** Tells of a change in a moment, as if there were one. */
  touch(): void {
    if (this.closed) return;
    const now = this.options.clock.now();
    if (this.since === 0) this.since = now;
    const latest = this.since + MAX_SETTLES * this.settleMs - now;
    this.timer.enable(Math.max(0, Math.min(this.settleMs, latest)));
  }

  close(): void {
    this.closed = true;
    this.timer.disable();
    for (const { watcher } of this.watched.values()) watcher.close();
    this.watched.clear();
  }

  private look(): void {
    const { events } = this;
    this.events = new Set();
    this.since = 0;
    // First the watch, then the reader: what happens between the two is told.
    this.arm();
    this.options.onChange(events);
  }

  private arm(): void {
    for (const [folder, { watcher, id }] of this.watched) {
      if (this.wanted.has(folder) && identity(folder) === id) continue;
      watcher.close();
      this.watched.delete(folder);
    }
    let missing = false;
    for (const folder of this.wanted) if (!this.watched.has(folder) && !this.open(folder)) missing = true;
    if (missing && !this.timer.enabled) this.timer.enable(RETRY_MS);
  }

  private open(folder: string): boolean {
    const id = identity(folder);
    if (id === undefined) return false;
    const onEvent = (): void => {
      if (this.watched.get(folder)?.watcher !== watcher) return;
      this.events.add(folder);
      this.touch();
    };
    let watcher: FSWatcher;
    try {
      watcher = watch(folder, { persistent: false }, onEvent);
    } catch {
      return false;
    }
    watcher.on('error', onEvent);
    this.watched.set(folder, { watcher, id });
    return true;
  }
}

function identity(folder: string): string | undefined {
  try {
    const { dev, ino } = statSync(folder, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
