import type {
  Cancellable,
  CreateHttpFilter,
  CreateTerminalHttpFilter,
  HttpFilter,
  HttpStream,
  LocalReply,
  RequestHeaders,
  ResponseHeaders,
  Route,
  StreamInfo,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';
import type { FilterPipeline } from './filter-pipeline.ts';

/** A compiled filter chain: the factories of its filters, in the order of the config. */
export interface CompiledFilterChain {
  readonly filters: readonly {
    readonly name: string;
    readonly disabled: boolean;
    readonly create: CreateHttpFilter;
  }[];
  readonly terminal: { readonly name: string; readonly create: CreateTerminalHttpFilter };
}

/** What the handles of filters ask of their stream. */
export interface FilterHost {
  readonly id: number;
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders;
  readonly requestTrailers: Trailers | undefined;
  readonly responseHeaders: ResponseHeaders | undefined;
  readonly responseTrailers: Trailers | undefined;
  readonly route: Route | undefined;
  bufferLimit: number;
  clearRouteCache(): void;
  perRouteConfigOf<T>(filterName: string): T | undefined;
  perRouteConfigsOf<T>(filterName: string): readonly T[];
  reply(reply: LocalReply): void;
  resumeFilter(direction: Direction, filter: HttpFilter): void;
  heldBody(direction: Direction, filter: HttpFilter): readonly Buffer[];
  addBody(direction: Direction, filter: HttpFilter, chunk: Buffer): void;
  takeBody(direction: Direction, filter: HttpFilter): readonly Buffer[];
  addRequestTrailers(): Trailers;
  addResponseTrailers(): Trailers;
  reset(reason: StreamResetReason): void;
  demandRoute(onAnswer: (found: boolean) => void): Cancellable | undefined;
  /** A filter has failed. */
  onBug(filterName: string, error: unknown): void;
  /** @param filter the one that holds the request */
  startAnew(filter: HttpFilter): boolean;
}

/** What one filter sees of its stream. */
export class FilterHandle implements HttpStream {
  readonly name: string;
  readonly filter: HttpFilter;
  private readonly stream: FilterHost;

  constructor(stream: FilterHost, name: string, create: CreateHttpFilter) {
    this.stream = stream;
    this.name = name;
    this.filter = create(this);
  }

  get id(): number {
    return this.stream.id;
  }
  get info(): StreamInfo {
    return this.stream.info;
  }
  get requestHeaders(): RequestHeaders {
    return this.stream.requestHeaders;
  }
  get requestTrailers(): Trailers | undefined {
    return this.stream.requestTrailers;
  }
  get responseHeaders(): ResponseHeaders | undefined {
    return this.stream.responseHeaders;
  }
  get responseTrailers(): Trailers | undefined {
    return this.stream.responseTrailers;
  }
  get route(): Route | undefined {
    return this.stream.route;
  }
  clearRouteCache(): void {
    this.stream.clearRouteCache();
  }
  perRouteConfig<T>(): T | undefined {
    return this.stream.perRouteConfigOf(this.name);
  }
  perRouteConfigs<T>(): readonly T[] {
    return this.stream.perRouteConfigsOf(this.name);
  }
  reply(reply: LocalReply): void {
    this.stream.reply(reply);
  }
  resumeRequest(): void {
    this.stream.resumeFilter('request', this.filter);
  }
  resumeResponse(): void {
    this.stream.resumeFilter('response', this.filter);
  }
  get heldRequestBody(): readonly Buffer[] {
    return this.stream.heldBody('request', this.filter);
  }
  get heldResponseBody(): readonly Buffer[] {
    return this.stream.heldBody('response', this.filter);
  }
  addRequestBody(chunk: Buffer): void {
    this.stream.addBody('request', this.filter, chunk);
  }
  addResponseBody(chunk: Buffer): void {
    this.stream.addBody('response', this.filter, chunk);
  }
  takeHeldRequestBody(): readonly Buffer[] {
    return this.stream.takeBody('request', this.filter);
  }
  takeHeldResponseBody(): readonly Buffer[] {
    return this.stream.takeBody('response', this.filter);
  }
  get bufferLimit(): number {
    return this.stream.bufferLimit;
  }
  set bufferLimit(bytes: number) {
    this.stream.bufferLimit = bytes;
  }
  addRequestTrailers(): Trailers {
    return this.stream.addRequestTrailers();
  }
  addResponseTrailers(): Trailers {
    return this.stream.addResponseTrailers();
  }
  reset(reason: StreamResetReason): void {
    this.stream.reset(reason);
  }
  demandRoute(onAnswer: (found: boolean) => void): Cancellable | undefined {
    return this.stream.demandRoute((found) => {
      try {
        onAnswer(found);
      } catch (error) {
        this.stream.onBug(this.name, error);
      }
    });
  }
  startAnew(): boolean {
    return this.stream.startAnew(this.filter);
  }
}

export type Direction = 'request' | 'response';

/** The pipelines of a stream that has more filters than the terminal one. */
export interface StreamFilters {
  readonly handles: readonly FilterHandle[];
  readonly request: FilterPipeline<RequestHeaders>;
  readonly response: FilterPipeline<ResponseHeaders>;
}
