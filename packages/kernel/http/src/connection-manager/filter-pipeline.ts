import type {
  BodyVerdict,
  HeadersVerdict,
  HttpFilter,
  RequestHeaders,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';

/** A filter of one stream with the name its errors are logged under. */
export interface NamedFilter {
  readonly filter: HttpFilter;
  readonly name: string;
}

/** Where a pipeline's output goes, and whom it tells. */
export interface PipelineSink<H> {
  headers(headers: H, endStream: boolean): void;
  /** As on the codec seam: false asks for a stop until {@link FilterPipeline}'s owner hears that there is room again. */
  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  trailers(trailers: Trailers): void;
  /** Trailers that the filter just called has added to a body which ends without any; undefined for none. */
  takeAddedTrailers(): Trailers | undefined;
  /** A hook threw, or its promise was rejected. */
  onFilterError(filterName: string, error: unknown): void;
  /** What filters hold exceeds the limit, and none of them asked for back-pressure. */
  onBufferOverflow(): void;
  /** What filters hold went above, or back below, the limit, and the peer should (not) be read. */
  onBackPressure(stop: boolean): void;
  /** True once the stream is over: nothing may be called on filters any more. */
  readonly finished: boolean;
}

/** One filter's place in one direction. */
class Stage {
  readonly filter: HttpFilter;
  readonly name: string;
  /** Headers that this filter has seen wait here. */
  headersHeld = false;
  /** Everything that comes waits before this filter's hooks. */
  waiting = false;
  /** What its body hook has seen and keeps; goes on to the next filter as one. */
  kept: Buffer[] = [];
  keptBytes = 0;
  keptEnd = false;
  /** Its body hook said `'pause'`: keeping is back-pressure, not collecting. */
  bodyPaused = false;
  /** Body that its hook has not seen. */
  queue: Buffer[] = [];
  queuedBytes = 0;
  queueEnd = false;
  /** Trailers that its hook has seen and holds. */
  trailersHeld: Trailers | undefined = undefined;
  /** Trailers that its hook has not seen. */
  trailersQueued: Trailers | undefined = undefined;
  /** Counts holds, so that a promise which settles late resumes nothing but its own. */
  generation = 0;

  constructor(filter: HttpFilter, name: string) {
    this.filter = filter;
    this.name = name;
  }

  get heldBytes(): number {
    return this.keptBytes + this.queuedBytes;
  }

  get holdsAnything(): boolean {
    return this.headersHeld || this.waiting || this.bodyPaused || this.kept.length > 0 || this.keptEnd;
  }
}

/**
 * Runs the filters of one stream in one direction by the verdicts of {@link HttpFilter}. Only streams whose chain has
 * more than the terminal filter have one.
 *
 * Invariant: headers have been seen by every stage up to the first that holds them; body and trailers never overtake
 * what was before them.
 */
export abstract class FilterPipeline<H> {
  bufferLimit: number;
  private readonly stages: readonly Stage[];
  private readonly sink: PipelineSink<H>;
  /** Some filter has a body hook. */
  private readonly hearsBody: boolean;
  private headersInHand!: H;
  private headersEnd = false;
  /** Back-pressure has been asked for. */
  private stopped = false;

  /** @param filters in the order in which they run. */
  constructor(filters: readonly NamedFilter[], sink: PipelineSink<H>, bufferLimit: number) {
    this.stages = filters.map(({ filter, name }) => new Stage(filter, name));
    this.sink = sink;
    this.hearsBody = filters.some(({ filter }) => this.hasBodyHook(filter));
    this.bufferLimit = bufferLimit;
  }

  protected abstract callHeaders(filter: HttpFilter, headers: H, endStream: boolean): HeadersVerdict;
  protected abstract callBody(filter: HttpFilter, chunk: Buffer, endStream: boolean): BodyVerdict;
  protected abstract callTrailers(filter: HttpFilter, trailers: Trailers): HeadersVerdict;
  protected abstract hasBodyHook(filter: HttpFilter): boolean;
  protected abstract hasTrailersHook(filter: HttpFilter): boolean;

  headers(headers: H, endStream: boolean): void {
    this.headersInHand = headers;
    this.headersEnd = endStream;
    this.headersFrom(0);
  }

  /**
   * A borrowed chunk: it is copied when a filter looks at bodies, or holds the stream; otherwise it goes straight on.
   * @param holdable as on the codec seam
   * @returns false to ask the sender to stop until back-pressure ends.
   */
  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.sink.finished) return true;
    if (!this.hearsBody && !this.stages.some((stage) => stage.holdsAnything)) {
      return this.sink.body(chunk, endStream, holdable);
    }
    return this.bodyFrom(0, Buffer.from(chunk), endStream);
  }

  trailers(trailers: Trailers): void {
    if (!this.sink.finished) this.trailersFrom(0, trailers);
  }

  /** Bytes that all filters hold. */
  get heldBytes(): number {
    let bytes = 0;
    for (const stage of this.stages) bytes += stage.heldBytes;
    return bytes;
  }

  /** Chunks that `filter` holds. */
  held(filter: HttpFilter): readonly Buffer[] {
    const stage = this.stages.find((candidate) => candidate.filter === filter);
    return stage === undefined ? [] : [...stage.kept, ...stage.queue];
  }

  /** Puts `chunk` behind what `filter` holds; to a message that ends with its headers it is the body. */
  add(filter: HttpFilter, chunk: Buffer): void {
    const stage = this.stages.find((candidate) => candidate.filter === filter);
    if (stage === undefined || chunk.length === 0 || this.sink.finished) return;
    stage.kept.push(chunk);
    stage.keptBytes += chunk.length;
    if (!this.headersEnd) return;
    this.headersEnd = false;
    stage.keptEnd = true;
  }

  /** Takes what the body hook of `filter` has seen and keeps. */
  take(filter: HttpFilter): readonly Buffer[] {
    const stage = this.stages.find((candidate) => candidate.filter === filter);
    if (stage === undefined) return [];
    const { kept } = stage;
    stage.kept = [];
    stage.keptBytes = 0;
    return kept;
  }

  /** Goes on at `filter`, if it holds anything. */
  resume(filter: HttpFilter): void {
    const index = this.stages.findIndex((candidate) => candidate.filter === filter);
    if (index >= 0) this.resumeAt(index);
  }

  private headersFrom(from: number): void {
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      let verdict: HeadersVerdict;
      try {
        verdict = this.callHeaders(stage.filter, this.headersInHand, this.headersEnd);
      } catch (error) {
        this.sink.onFilterError(stage.name, error);
        return;
      }
      if (this.sink.finished) return;
      if (verdict === undefined) {
        if (stage.kept.length === 0 && !stage.keptEnd) continue;
        // It has given a body to a message that had none, or put bytes in front of the one that comes.
        this.headersFrom(i + 1);
        if (!this.sink.finished) this.resumeBody(stage, i);
        return;
      }
      stage.headersHeld = true;
      if (verdict !== 'collect') this.wait(stage, i, verdict);
      return;
    }
    this.sink.headers(this.headersInHand, this.headersEnd);
  }

  private bodyFrom(from: number, first: Buffer, endStream: boolean): boolean {
    let chunk = first;
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      const hears = this.hasBodyHook(stage.filter);
      if (stage.waiting || (stage.headersHeld && !hears)) return this.enqueue(stage, chunk, endStream);
      if (!hears) continue;
      let verdict: BodyVerdict;
      try {
        verdict = this.callBody(stage.filter, chunk, endStream);
      } catch (error) {
        this.sink.onFilterError(stage.name, error);
        return true;
      }
      if (this.sink.finished) return true;
      if (verdict === 'collect' || verdict === 'pause' || verdict instanceof Promise) {
        return this.keep(stage, i, chunk, endStream, verdict);
      }
      chunk = takeKept(stage, verdict ?? chunk);
      if (!this.releaseHeaders(stage, i)) return true;
      if (endStream) {
        const added = this.sink.takeAddedTrailers();
        if (added !== undefined) return this.endWithTrailers(i + 1, chunk, added);
      }
      if (chunk.length === 0 && !endStream) return true;
    }
    return this.sink.body(chunk, endStream, true);
  }

  /** The filter before `from` has added trailers: the filters behind it see the body end with them. */
  private endWithTrailers(from: number, chunk: Buffer, trailers: Trailers): boolean {
    const mayGoOn = chunk.length === 0 || this.bodyFrom(from, chunk, false);
    if (!this.sink.finished) this.trailersFrom(from, trailers);
    return mayGoOn;
  }

  private trailersFrom(from: number, trailers: Trailers): void {
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      const hears = this.hasTrailersHook(stage.filter);
      // A filter that collects the body hears of its end by the trailers; one without a body hook waits for something else.
      const waitsOtherwise =
        !hears && (stage.bodyPaused || (stage.headersHeld && !this.hasBodyHook(stage.filter)));
      if (stage.waiting || waitsOtherwise) {
        stage.trailersQueued = trailers;
        return;
      }
      let verdict: HeadersVerdict;
      try {
        verdict = this.callTrailers(stage.filter, trailers);
      } catch (error) {
        this.sink.onFilterError(stage.name, error);
        return;
      }
      if (this.sink.finished) return;
      if (verdict !== undefined) {
        stage.trailersHeld = trailers;
        this.wait(stage, i, verdict === 'collect' ? 'pause' : verdict);
        return;
      }
      if (!this.releaseHeaders(stage, i)) return;
      if (stage.heldBytes > 0) this.resumeBody(stage, i);
      if (this.sink.finished) return;
    }
    this.sink.trailers(trailers);
  }

  /** Everything waits at `stage`, until the filter resumes or its promise settles. */
  private wait(stage: Stage, index: number, verdict: 'pause' | Promise<void>): void {
    stage.waiting = true;
    const generation = ++stage.generation;
    if (verdict === 'pause') return;
    verdict.then(
      () => {
        if (this.sink.finished || stage.generation !== generation) return;
        try {
          this.resumeAt(index);
        } catch (error) {
          // There is nobody on the stack who could catch it.
          this.sink.onFilterError(stage.name, error);
        }
      },
      (error) => {
        if (!this.sink.finished) this.sink.onFilterError(stage.name, error);
      },
    );
  }

  private keep(
    stage: Stage,
    index: number,
    chunk: Buffer,
    endStream: boolean,
    verdict: 'collect' | 'pause' | Promise<void>,
  ): boolean {
    if (chunk.length > 0) stage.kept.push(chunk);
    stage.keptBytes += chunk.length;
    stage.keptEnd ||= endStream;
    stage.bodyPaused = verdict !== 'collect';
    // While its promise is open no other chunk may reach the hook, or chunks would overtake each other.
    if (verdict instanceof Promise) this.wait(stage, index, verdict);
    return this.checkLimit(stage);
  }

  private enqueue(stage: Stage, chunk: Buffer, endStream: boolean): boolean {
    if (chunk.length > 0) stage.queue.push(chunk);
    stage.queuedBytes += chunk.length;
    stage.queueEnd ||= endStream;
    return this.checkLimit(stage);
  }

  private checkLimit(stage: Stage): boolean {
    if (stage.heldBytes <= this.bufferLimit) return true;
    if (!stage.waiting && !stage.bodyPaused) {
      this.sink.onBufferOverflow();
      return true;
    }
    if (!this.stopped) {
      this.stopped = true;
      this.sink.onBackPressure(true);
    }
    return false;
  }

  /** Lets headers go which wait at `stage`. False when the stream ended over it. */
  private releaseHeaders(stage: Stage, index: number): boolean {
    if (!stage.headersHeld) return true;
    stage.headersHeld = false;
    this.headersFrom(index + 1);
    return !this.sink.finished;
  }

  private resumeAt(index: number): void {
    const stage = this.stages[index] as Stage;
    if (!stage.holdsAnything) return;
    stage.waiting = false;
    stage.generation++;
    if (!this.releaseHeaders(stage, index)) return;
    this.resumeBody(stage, index);
    if (this.sink.finished) return;
    this.resumeTrailers(stage, index);
    if (
      this.stopped &&
      !this.sink.finished &&
      this.stages.every((other) => other.heldBytes <= this.bufferLimit)
    ) {
      this.stopped = false;
      this.sink.onBackPressure(false);
    }
  }

  private resumeBody(stage: Stage, index: number): void {
    const { queue, queueEnd, keptEnd } = stage;
    stage.queue = [];
    stage.queuedBytes = 0;
    stage.queueEnd = false;
    if (stage.kept.length > 0 || keptEnd) {
      const added = keptEnd ? this.sink.takeAddedTrailers() : undefined;
      const kept = takeKept(stage, EMPTY);
      if (added === undefined) this.bodyFrom(index + 1, kept, keptEnd);
      else this.endWithTrailers(index + 1, kept, added);
    }
    stage.bodyPaused = false;
    if (queueEnd && queue.length === 0) queue.push(EMPTY);
    for (let i = 0; i < queue.length && !this.sink.finished; i++) {
      this.bodyFrom(index, queue[i] as Buffer, queueEnd && i === queue.length - 1);
    }
  }

  private resumeTrailers(stage: Stage, index: number): void {
    const { trailersHeld, trailersQueued } = stage;
    if (stage.waiting) return;
    stage.trailersHeld = undefined;
    stage.trailersQueued = undefined;
    if (trailersHeld !== undefined) this.trailersFrom(index + 1, trailersHeld);
    else if (trailersQueued !== undefined) this.trailersFrom(index, trailersQueued);
  }
}

/** Takes what a stage keeps, with `last` behind it, as one buffer. */
function takeKept(stage: Stage, last: Buffer): Buffer {
  const { kept } = stage;
  stage.bodyPaused = false;
  stage.keptEnd = false;
  if (kept.length === 0) return last;
  if (last.length > 0) kept.push(last);
  stage.kept = [];
  stage.keptBytes = 0;
  return kept.length === 1 ? (kept[0] as Buffer) : Buffer.concat(kept);
}

const EMPTY = Buffer.alloc(0);

/** The request's way: first filter to last. */
export class RequestPipeline extends FilterPipeline<RequestHeaders> {
  protected callHeaders(filter: HttpFilter, headers: RequestHeaders, endStream: boolean): HeadersVerdict {
    return filter.onRequestHeaders?.(headers, endStream);
  }
  protected callBody(filter: HttpFilter, chunk: Buffer, endStream: boolean): BodyVerdict {
    return filter.onRequestBody?.(chunk, endStream);
  }
  protected callTrailers(filter: HttpFilter, trailers: Trailers): HeadersVerdict {
    return filter.onRequestTrailers?.(trailers);
  }
  protected hasBodyHook(filter: HttpFilter): boolean {
    return filter.onRequestBody !== undefined;
  }
  protected hasTrailersHook(filter: HttpFilter): boolean {
    return filter.onRequestTrailers !== undefined;
  }
}

/** The response's way: last filter to first. */
export class ResponsePipeline extends FilterPipeline<ResponseHeaders> {
  protected callHeaders(filter: HttpFilter, headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    return filter.onResponseHeaders?.(headers, endStream);
  }
  protected callBody(filter: HttpFilter, chunk: Buffer, endStream: boolean): BodyVerdict {
    return filter.onResponseBody?.(chunk, endStream);
  }
  protected callTrailers(filter: HttpFilter, trailers: Trailers): HeadersVerdict {
    return filter.onResponseTrailers?.(trailers);
  }
  protected hasBodyHook(filter: HttpFilter): boolean {
    return filter.onResponseBody !== undefined;
  }
  protected hasTrailersHook(filter: HttpFilter): boolean {
    return filter.onResponseTrailers !== undefined;
  }
}
