import type { Connection, Counter, Gauge } from '@dragoman/core';

/** A read of this size says that bulk data is coming: half of what a connection reads at most into a buffer that it shares. */
const BULK_FROM_BYTES = 32 * 1024;

/** A read below this size says that it is over, so that an idle connection does not keep a large buffer of its own. */
const BULK_UNTIL_BYTES = 4 * 1024;

/** What a direction counts; any of them may be absent. */
export interface DirectionStats {
  readonly bytes: Counter | undefined;
  readonly paused: Counter;
  readonly resumed: Counter;
  /** Bytes that were read and wait for the sink. */
  readonly sourceBuffered: Gauge | undefined;
  /** Bytes that were written and have not left. */
  readonly sinkBuffered: Gauge | undefined;
}

/** Moves bytes from one connection to another, no faster than they leave. */
export class Direction {
  private readonly source: Connection;
  private readonly sink: Connection;
  private readonly stats: DirectionStats;
  /** The sink has said stop; the source is not read. */
  private waiting = false;
  /** A chunk of the source's buffer is with the sink until it is writable. */
  private held = false;
  private bulk = false;
  private sourceBuffered = 0;
  private sinkBuffered = 0;

  constructor(source: Connection, sink: Connection, stats: DirectionStats) {
    this.source = source;
    this.sink = sink;
    this.stats = stats;
  }

  /** Whether the sink may still read from the source's buffer: then neither outlives the other. */
  get holding(): boolean {
    return this.held;
  }

  transfer(chunk: Buffer): void {
    const { source, sink, stats } = this;
    const size = chunk.length;
    stats.bytes?.add(size);
    if (this.bulk ? size < BULK_UNTIL_BYTES : size >= BULK_FROM_BYTES) {
      this.bulk = !this.bulk;
      source.setBulk(this.bulk);
    }
    // Only a chunk in a buffer of the source's own can wait there for the sink; any other is written or copied at once.
    const holdable = !this.waiting && source.hold();
    if (sink.writeBody(chunk, holdable)) {
      if (holdable) source.release();
      return;
    }
    if (holdable) {
      this.held = true;
      this.sourceBuffered = size;
      stats.sourceBuffered?.add(size);
    } else if (!this.waiting) {
      source.pauseReading();
    }
    if (!this.waiting) stats.paused.inc();
    this.waiting = true;
    this.noteSinkBuffered(sink.bufferedBytes);
  }

  /** Everything that was written has left: the source may go on. */
  onSinkWritable(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.noteSinkBuffered(0);
    this.stats.resumed.inc();
    if (this.held) {
      this.held = false;
      this.noteReleased();
      this.source.release();
    } else {
      this.source.resumeReading();
    }
  }

  /** One of the connections is gone: what was buffered does not count any more. */
  stop(): void {
    this.noteSinkBuffered(0);
    this.noteReleased();
    this.held = false;
    this.waiting = false;
  }

  private noteReleased(): void {
    if (this.sourceBuffered === 0) return;
    this.stats.sourceBuffered?.sub(this.sourceBuffered);
    this.sourceBuffered = 0;
  }

  private noteSinkBuffered(bytes: number): void {
    if (bytes === this.sinkBuffered) return;
    this.stats.sinkBuffered?.add(bytes - this.sinkBuffered);
    this.sinkBuffered = bytes;
  }
}
