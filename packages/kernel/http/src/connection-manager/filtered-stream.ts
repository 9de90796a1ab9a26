import {
  type HttpFilter,
  type LocalReply,
  type Protocol,
  type RequestHeaders,
  type ResponseHeaders,
  type StreamResetReason,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  Trailers,
} from '@dragoman/core';
import { type Direction, FilterHandle, type StreamFilters } from './filter-chain.ts';
import { RequestPipeline, ResponsePipeline } from './filter-pipeline.ts';
import { RequestSink, ResponseSink, type SinkStream } from './pipeline-sinks.ts';
import { RoutedStream } from './routed-stream.ts';
import type { StreamOwner } from './stream-owner.ts';
import type { StreamRecord } from './stream-record.ts';

const NO_FILTERS: readonly FilterHandle[] = [];

/** What the filters of a stream see of it, the terminal one included, from their making to their end. */
export abstract class FilteredStream extends RoutedStream implements TerminalHttpStream, SinkStream {
  replying = false;
  inRequestBody = false;
  protected terminal: TerminalHttpFilter | undefined = undefined;
  protected filters: StreamFilters | undefined = undefined;
  /** The filters made so far, in their order. */
  private handles: readonly FilterHandle[] = NO_FILTERS;
  private limit: number;
  /** Which trailers are a filter's own and not on their way yet. */
  protected addedTrailers: Direction | undefined = undefined;

  constructor(owner: StreamOwner, protocol: Protocol, previous: StreamRecord | undefined) {
    super(owner, protocol, previous);
    this.limit = owner.config.bufferLimitBytes;
  }

  abstract readonly responseStarted: boolean;
  abstract informational(headers: ResponseHeaders): void;
  abstract sendHeaders(headers: ResponseHeaders, endStream: boolean): void;
  abstract sendBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  abstract sendTrailers(trailers: Trailers): void;
  abstract encodeHeaders(headers: ResponseHeaders, endStream: boolean): void;
  abstract encodeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  abstract encodeTrailers(trailers: Trailers): void;
  abstract onWritable(): void;
  abstract pauseRequestBody(): void;
  abstract resumeRequestBody(): void;
  abstract restart(request: RequestHeaders, redirect: ResponseHeaders, body: readonly Buffer[]): boolean;
  abstract startAnew(filter: HttpFilter): boolean;
  abstract reply(reply: LocalReply): void;
  abstract reset(reason: StreamResetReason): void;
  abstract onBug(filterName: string, error: unknown): void;

  /** Of the filters, the terminal one included. */
  protected get heldByFilters(): number {
    const { filters, terminal } = this;
    const held = filters === undefined ? 0 : filters.request.heldBytes + filters.response.heldBytes;
    return held + (terminal?.heldBytes ?? 0);
  }

  get bufferLimit(): number {
    return this.limit;
  }

  set bufferLimit(bytes: number) {
    this.limit = bytes;
    if (this.filters === undefined) return;
    this.filters.request.bufferLimit = bytes;
    this.filters.response.bufferLimit = bytes;
  }

  /** The terminal filter holds nothing of the chain's. */
  get heldRequestBody(): readonly Buffer[] {
    return [];
  }

  get heldResponseBody(): readonly Buffer[] {
    return [];
  }

  resumeRequest(): void {}

  resumeResponse(): void {}

  perRouteConfig<T>(): T | undefined {
    return this.perRouteConfigOf(this.chain.terminal.name);
  }

  perRouteConfigs<T>(): readonly T[] {
    return this.perRouteConfigsOf(this.chain.terminal.name);
  }

  resumeFilter(direction: Direction, filter: HttpFilter): void {
    if (this.finished || this.filters === undefined) return;
    if (direction === 'request' && this.replying) return;
    try {
      this.filters[direction].resume(filter);
    } catch (error) {
      this.onBug(this.chain.terminal.name, error);
    }
  }

  heldBody(direction: Direction, filter: HttpFilter): readonly Buffer[] {
    return this.filters?.[direction].held(filter) ?? [];
  }

  addBody(direction: Direction, filter: HttpFilter, chunk: Buffer): void {
    if (!this.finished) this.filters?.[direction].add(filter, chunk);
  }

  takeBody(direction: Direction, filter: HttpFilter): readonly Buffer[] {
    return this.filters?.[direction].take(filter) ?? [];
  }

  addRequestTrailers(): Trailers {
    if (this.requestTrailers === undefined) {
      this.requestTrailers = new Trailers();
      this.addedTrailers = 'request';
    }
    return this.requestTrailers;
  }

  addResponseTrailers(): Trailers {
    if (this.responseTrailers === undefined) {
      this.responseTrailers = new Trailers();
      this.addedTrailers = 'response';
    }
    return this.responseTrailers;
  }

  protected createTerminal(): TerminalHttpFilter {
    this.terminal = this.chain.terminal.create(this);
    return this.terminal;
  }

  dropTerminal(): void {
    const { terminal } = this;
    this.terminal = undefined;
    try {
      terminal?.onComplete();
    } catch (error) {
      this.onBug(this.chain.terminal.name, error);
    }
  }

  protected createFilters(): StreamFilters {
    const { chain } = this;
    const terminal = this.createTerminal();
    const handles: FilterHandle[] = [];
    this.handles = handles;
    for (const { name, disabled, create } of chain.filters) {
      if (this.isDisabled(name, disabled)) continue;
      try {
        const handle = new FilterHandle(this, name, create);
        handles.push(handle);
        // Its factory has ended the stream: the filters before it know.
        if (this.finished) this.completeFilter(handle);
      } catch (error) {
        this.onBug(name, error);
      }
      // A factory that failed, or answered the request, ends the stream: the filters behind it are not made.
      if (this.finished || this.replying) break;
    }
    this.filters = {
      handles,
      request: new RequestPipeline(handles, new RequestSink(this, terminal), this.limit),
      response: new ResponsePipeline([...handles].reverse(), new ResponseSink(this), this.limit),
    };
    return this.filters;
  }

  /** `typed_per_filter_config` may switch a filter on or off for a route. */
  private isDisabled(name: string, byDefault: boolean): boolean {
    return this.route?.filterDisabled?.(name) ?? byDefault;
  }

  /** Trailers which a filter has added at the end of a body that had none; once. */
  takeAddedTrailers(direction: Direction): Trailers | undefined {
    if (this.addedTrailers !== direction) return undefined;
    this.addedTrailers = undefined;
    return direction === 'request' ? this.requestTrailers : this.responseTrailers;
  }

  protected completeFilters(): void {
    this.dropTerminal();
    for (const handle of this.handles) this.completeFilter(handle);
  }

  private completeFilter({ filter, name }: FilterHandle): void {
    try {
      filter.onComplete?.();
    } catch (error) {
      this.onBug(name, error);
    }
  }
}
