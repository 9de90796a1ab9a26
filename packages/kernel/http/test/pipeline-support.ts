import {
  type BodyVerdict,
  type HeadersVerdict,
  type HttpFilter,
  RequestHeaders,
  type ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { type PipelineSink, RequestPipeline, ResponsePipeline } from '../src/index.ts';

/** A sink that writes down what reaches it: `headers`, `body:abc`, `body:abc!` (the end), `trailers`. */
export class Sink<H> implements PipelineSink<H> {
  readonly log: string[] = [];
  /** What `body` answers. */
  room = true;
  finished = false;
  added: Trailers | undefined;

  headers(_headers: H, endStream: boolean): void {
    this.log.push(`headers${endStream ? '!' : ''}`);
  }
  body(chunk: Buffer, endStream: boolean): boolean {
    this.log.push(`body:${chunk.toString()}${endStream ? '!' : ''}`);
    return this.room;
  }
  trailers(_trailers: Trailers): void {
    this.log.push('trailers');
  }
  takeAddedTrailers(): Trailers | undefined {
    const { added } = this;
    this.added = undefined;
    return added;
  }
  onFilterError(filterName: string, error: unknown): void {
    this.log.push(`error:${filterName}:${(error as Error).message}`);
    this.finished = true;
  }
  onBufferOverflow(): void {
    this.log.push('overflow');
    this.finished = true;
  }
  onBackPressure(stop: boolean): void {
    this.log.push(stop ? 'stop' : 'go');
  }

  /** What was logged since the last call. */
  take(): string[] {
    return this.log.splice(0);
  }
}

/** Hooks without a direction, so that one table serves both. */
export interface Hooks {
  headers?(endStream: boolean): HeadersVerdict;
  body?(chunk: Buffer, endStream: boolean): BodyVerdict;
  trailers?(): HeadersVerdict;
}

export const DIRECTIONS = ['request', 'response'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** A pipeline in one direction with filters `f0`, `f1`, … in the order in which they run. */
export class PipelineRig {
  readonly sink = new Sink<RequestHeaders | ResponseHeaders>();
  readonly filters: HttpFilter[];
  readonly pipeline: RequestPipeline | ResponsePipeline;

  constructor(direction: Direction, hooks: readonly Hooks[], bufferLimit = 1024) {
    this.filters = hooks.map((each) => filterOf(direction, each));
    const named = this.filters.map((filter, i) => ({ filter, name: `f${i}` }));
    this.pipeline =
      direction === 'request'
        ? new RequestPipeline(named, this.sink, bufferLimit)
        : new ResponsePipeline(named, this.sink, bufferLimit);
  }

  headers(endStream = false): string[] {
    this.pipeline.headers(new RequestHeaders() as RequestHeaders & ResponseHeaders, endStream);
    return this.sink.take();
  }
  body(text: string, endStream = false): string[] {
    this.pipeline.body(Buffer.from(text), endStream, true);
    return this.sink.take();
  }
  trailers(): string[] {
    this.pipeline.trailers(new Trailers());
    return this.sink.take();
  }
  resume(index = 0): string[] {
    this.pipeline.resume(this.filters[index] as HttpFilter);
    return this.sink.take();
  }
  add(text: string, index = 0): void {
    this.pipeline.add(this.filters[index] as HttpFilter, Buffer.from(text));
  }
  take(index = 0): string {
    return Buffer.concat(this.pipeline.take(this.filters[index] as HttpFilter)).toString();
  }
  held(index = 0): string {
    return Buffer.concat(this.pipeline.held(this.filters[index] as HttpFilter)).toString();
  }
}

function filterOf(direction: Direction, hooks: Hooks): HttpFilter {
  const filter: HttpFilter = {};
  const { headers, body, trailers } = hooks;
  if (direction === 'request') {
    if (headers) filter.onRequestHeaders = (_, endStream) => headers(endStream);
    if (body) filter.onRequestBody = (chunk, endStream) => body(chunk, endStream);
    if (trailers) filter.onRequestTrailers = () => trailers();
  } else {
    if (headers) filter.onResponseHeaders = (_, endStream) => headers(endStream);
    if (body) filter.onResponseBody = (chunk, endStream) => body(chunk, endStream);
    if (trailers) filter.onResponseTrailers = () => trailers();
  }
  return filter;
}

/** A promise with its ends out. */
export function deferred(): { promise: Promise<void>; resolve(): void; reject(error: Error): void } {
  return Promise.withResolvers<void>();
}

/** Lets promises settle. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
