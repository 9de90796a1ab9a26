import type { ConnectionInfo, ListenerFilter, ListenerFilterSocket, StreamInfo } from '@dragoman/core';
import type { SocketConnection } from '@dragoman/network';
import type { InfoSource } from './filter-chain.ts';
import type { FilterDisabled } from './filter-disabled.ts';

/** A listener filter of a config, compiled. */
export interface CompiledListenerFilter {
  /** Undefined: it runs on every connection. */
  readonly disabled: FilterDisabled | undefined;
  readonly create: () => ListenerFilter;
  /** Whether its config is discovered and has not come. Absent: it stands in the listener's. */
  readonly missing?: (() => boolean) | undefined;
}

/**
 * What becomes of the connection: all filters have had their say, one waits for bytes, one refuses it, or one asked for more bytes than it
 * had said.
 */
export type ListenerFilterOutcome = 'done' | 'wait' | 'refused' | 'overflow';

const EMPTY = Buffer.alloc(0);
const FIRST_CAPACITY = 1024;

/** The listener filters of one connection, in order, and the bytes they look at. */
export class ListenerFilterRun implements ListenerFilterSocket {
  readonly info: ConnectionInfo;
  readonly descriptor: number;
  peeked: Buffer = EMPTY;
  private readonly source: InfoSource;
  private readonly filters: readonly CompiledListenerFilter[];
  private index = 0;
  /** The one that waits for bytes. */
  private waiting: ListenerFilter | undefined = undefined;
  /** Bytes from `from` to `to` have arrived and are nobody's yet. Grows by doubling: they may come one by one. */
  private buffer: Buffer = EMPTY;
  private from = 0;
  private to = 0;

  constructor(
    filters: readonly CompiledListenerFilter[],
    connection: Pick<SocketConnection, 'info' | 'descriptor'>,
    source: InfoSource,
  ) {
    this.filters = filters;
    this.info = connection.info;
    this.descriptor = connection.descriptor;
    this.source = source;
  }

  get streamInfo(): StreamInfo {
    return this.source.info;
  }

  /** What the filters have left, to be given to the filter chain; the caller's from now on. */
  get rest(): Buffer {
    return this.buffer.subarray(this.from, this.to);
  }

  /** The socket was accepted. */
  start(): ListenerFilterOutcome {
    return this.advance();
  }

  /** `data` has arrived, and is copied. */
  add(data: Buffer): ListenerFilterOutcome {
    this.append(data);
    return this.advance();
  }

  private append(data: Buffer): void {
    const needed = this.to + data.length;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.buffer.length, FIRST_CAPACITY));
      this.buffer.copy(grown, 0, 0, this.to);
      this.buffer = grown;
    }
    data.copy(this.buffer, this.to);
    this.to = needed;
  }

  private advance(): ListenerFilterOutcome {
    for (;;) {
      const filter = this.waiting ?? this.next();
      if (filter === undefined) return 'done';
      const outcome = this.waiting === undefined ? this.open(filter) : this.feed(filter);
      if (outcome !== undefined) return outcome;
    }
  }

  /** The next filter that is not left out. */
  private next(): ListenerFilter | undefined {
    for (;;) {
      const compiled = this.filters[this.index];
      if (compiled === undefined) return undefined;
      if (compiled.disabled?.(this.info) !== true) return compiled.create();
      this.index++;
    }
  }

  private open(filter: ListenerFilter): ListenerFilterOutcome | undefined {
    this.peek(filter);
    const verdict = filter.onAccept(this);
    if (verdict === 'close') return 'refused';
    if (verdict === 'continue') {
      this.leave(filter);
      return undefined;
    }
    this.waiting = filter;
    return this.from === this.to ? 'wait' : undefined;
  }

  private feed(filter: ListenerFilter): ListenerFilterOutcome | undefined {
    this.peek(filter);
    const verdict = filter.onData === undefined ? 'continue' : filter.onData(this);
    if (verdict === 'close') return 'refused';
    if (verdict === 'continue') {
      this.leave(filter);
      return undefined;
    }
    const seen = this.peeked.length;
    if (seen < this.to - this.from && filter.maxReadBytes > seen) return undefined;
    return seen < filter.maxReadBytes ? 'wait' : 'overflow';
  }

  private peek(filter: ListenerFilter): void {
    this.peeked = this.buffer.subarray(this.from, Math.min(this.to, this.from + filter.maxReadBytes));
  }

  private leave(filter: ListenerFilter): void {
    this.from += Math.min(filter.consumed ?? 0, this.to - this.from);
    this.waiting = undefined;
    this.index++;
  }
}
