import {
  type AccessLogger,
  type AccessLogType,
  type LogContext,
  type Protocol,
  RequestHeaders,
  type ResponseEncoder,
  type ResponseHeaders,
  StreamInfo,
  type Trailers,
} from '@dragoman/core';
import type { ConnectionManagerConfig } from './config.ts';
import type { StreamOwner } from './stream-owner.ts';

let lastStreamId = 0;
const NO_REQUEST = new RequestHeaders();

/** What is known of one request and its response, and the entries about it in access logs. */
export abstract class StreamRecord implements LogContext {
  readonly id = ++lastStreamId;
  readonly info: StreamInfo;
  /** The request's headers; an empty map while (or if) there are none. */
  requestHeaders: RequestHeaders = NO_REQUEST;
  protected hasRequest = false;
  /** Of the request as it came. */
  protected isGrpc = false;
  protected isHead = false;
  requestTrailers: Trailers | undefined = undefined;
  responseHeaders: ResponseHeaders | undefined = undefined;
  responseTrailers: Trailers | undefined = undefined;
  localReplyBody: string | undefined = undefined;
  /** Of the entry being written. */
  type: AccessLogType = 'DownstreamEnd';
  /** The request has arrived whole. */
  requestComplete = false;
  /** The stream is over. */
  finished = false;

  protected readonly owner: StreamOwner;
  protected abstract readonly encoder: ResponseEncoder;
  readonly config: ConnectionManagerConfig;
  /** It goes on for another stream, whose request was redirected. */
  protected readonly restarted: boolean;

  constructor(owner: StreamOwner, protocol: Protocol, previous: StreamRecord | undefined) {
    const { config } = owner;
    this.owner = owner;
    this.config = config;
    this.restarted = previous !== undefined;
    this.info =
      previous?.info.afterRedirect() ??
      new StreamInfo(owner.connectionInfo, config.clock.wallTime(), config.clock.now());
    this.info.protocol = protocol;
    this.info.tellsAddresses = config.tellsAddresses;
    config.stats.rqTotal.inc();
    (protocol === 'HTTP/2' ? config.stats.rqHttp2Total : config.stats.rqHttp1Total).inc();
    config.stats.rqActive.inc();
  }

  get request(): RequestHeaders | undefined {
    return this.hasRequest ? this.requestHeaders : undefined;
  }

  get response(): ResponseHeaders | undefined {
    return this.responseHeaders;
  }

  protected setDetails(details: string): void {
    this.info.responseCodeDetails = details;
  }

  protected logNewRequest(): void {
    if (!this.config.accessLogTimes.onNewRequest) return;
    this.owner.sampleBytes(this.info, this.encoder.meter);
    this.writeLogs('DownstreamStart');
  }

  protected writeLogs(type: AccessLogType): void {
    const { accessLogs } = this.config;
    this.type = type;
    for (let i = 0; i < accessLogs.length; i++) {
      try {
        (accessLogs[i] as AccessLogger).log(this);
      } catch (error) {
        this.reportBug('access log', error);
      }
    }
  }

  protected reportBug(who: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { connection } = this.info;
    this.config.logger.error(`[C${connection.id}][S${this.id}] ${who} failed: ${text}`);
  }
}
