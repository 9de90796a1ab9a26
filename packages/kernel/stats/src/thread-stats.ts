import type { StatsAnnouncement } from './announcement.ts';
import { GroupScope, ScopeHome } from './scopes.ts';
import { StatsBook } from './stats-book.ts';

export interface ThreadStatsOptions {
  /** Gets every announcement, in order: hand it to `StatsStore.attach().receive`, directly or through a port. */
  readonly announce: (announcement: StatsAnnouncement) => void;
  /** False for a name that `stats_matcher` rejects: the stat works for who made it, but nobody else sees it. Default: all. */
  readonly accepts?: (name: string) => boolean;
  /** Told each name that is asked for, whether it exists or not. */
  readonly onLookup?: (name: string) => void;
}

/** The stats of one thread: makes handles, keeps their values in a segment of its own. Also the thread's root scope. */
export class ThreadStats extends GroupScope {
  readonly #book: StatsBook;

  constructor({ announce, accepts = () => true, onLookup }: ThreadStatsOptions) {
    const book = new StatsBook({ announce, accepts, onLookup });
    super(new ScopeHome(book), '', () => book.permanent);
    this.#book = book;
  }

  /** Bytes of shared memory that this thread's stats take. They are never given back, but used again. */
  get byteLength(): number {
    return this.#book.segment.byteLength;
  }

  /**
   * Slots of that memory that are in use. Those of a stat that was forgotten are, until the garbage collector finds that nobody has a
   * handle of it.
   */
  get usedSlots(): number {
    return this.#book.segment.usedSlots;
  }
}
