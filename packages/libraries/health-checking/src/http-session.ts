import type {
  HealthCheckerContext,
  HealthCheckResult,
  HealthCheckSession,
  HealthCheckTarget,
  HealthHttpConnection,
  HealthHttpHandler,
  RequestEncoder,
  ResponseDecoder,
  ResponseHeaders,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';
import { unreachable } from './results.ts';

/** One request and its answer, again and again. A hook answers with the result as soon as it is known. */
export interface HttpExchange {
  /** Sends the request; forgets what there was of the answer before. */
  begin(encoder: RequestEncoder): void;
  onHeaders(headers: ResponseHeaders, endStream: boolean): HealthCheckResult | undefined;
  /** `chunk` is borrowed. */
  onBody(chunk: Buffer, endStream: boolean): HealthCheckResult | undefined;
  onTrailers(trailers: Trailers): HealthCheckResult | undefined;
  /** The answer asks for the connection to be closed. */
  readonly lastOnConnection: boolean;
}

/**
 * Checks by HTTP. The connection is kept between checks where `reuse_connection` says so and the host allows it; one whose answer was
 * not read to its end, or whose check was given up, is closed.
 */
export class HttpCheckSession implements HealthCheckSession {
  readonly context: HealthCheckerContext;
  readonly target: HealthCheckTarget;
  readonly protocol: 'http1' | 'http2';
  readonly exchange: HttpExchange;
  private link: Link | undefined;
  private done: ((result: HealthCheckResult) => void) | undefined;

  constructor(
    context: HealthCheckerContext,
    target: HealthCheckTarget,
    protocol: 'http1' | 'http2',
    exchange: HttpExchange,
  ) {
    this.context = context;
    this.target = target;
    this.protocol = protocol;
    this.exchange = exchange;
  }

  check(done: (result: HealthCheckResult) => void): void {
    this.done = done;
    if (this.link?.send() === true) return;
    this.drop();
    const link = new Link(this);
    this.link = link;
    link.open();
  }

  cancel(): void {
    this.done = undefined;
    this.drop();
  }

  close(): void {
    this.cancel();
  }

  /** The check in hand is over. The connection is dealt with first: whoever hears the result may close the session. */
  finish(result: HealthCheckResult, keep: boolean): void {
    const { done } = this;
    this.done = undefined;
    if (!keep) this.drop();
    done?.(result);
  }

  /** The connection of `link` takes no more requests. */
  forget(link: Link): void {
    if (this.link === link) this.link = undefined;
  }

  private drop(): void {
    const { link } = this;
    this.link = undefined;
    link?.close();
  }
}

/** One connection. What it still says after {@link close} concerns nobody. */
class Link implements HealthHttpHandler, ResponseDecoder {
  private readonly session: HttpCheckSession;
  private connection: HealthHttpConnection | undefined;
  private state: 'connecting' | 'idle' | 'busy' | 'closed' = 'connecting';
  /** It takes no more requests, and the answer in hand is its last. */
  private ending = false;

  constructor(session: HttpCheckSession) {
    this.session = session;
  }

  open(): void {
    const { context, target, protocol } = this.session;
    const connection = context.connectHttp(target, protocol, this);
    this.connection = connection;
    if (this.state === 'closed') connection.close();
    else if (this.state === 'idle') this.begin();
  }

  /** Sends the request of the next check. @returns false when the connection takes none */
  send(): boolean {
    if (this.state !== 'idle' || this.ending) return false;
    const encoder = this.connection?.request(this);
    if (encoder === undefined) return false;
    this.state = 'busy';
    this.session.exchange.begin(encoder);
    return true;
  }

  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.connection?.close();
  }

  onReady(): void {
    if (this.state !== 'connecting') return;
    this.state = 'idle';
    if (this.connection !== undefined) this.begin();
  }

  onClosed(reason: string): void {
    if (this.state === 'closed') return;
    if (this.state === 'busy') {
      this.ending = true;
      return;
    }
    const waited = this.state === 'connecting';
    this.state = 'closed';
    this.session.forget(this);
    if (waited) this.session.finish(unreachable(reason === '' ? 'connection closed' : reason), false);
  }

  onInformational(): void {}

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.state === 'busy') this.settle(this.session.exchange.onHeaders(headers, endStream), endStream);
  }

  onBody(chunk: Buffer, endStream: boolean): boolean {
    if (this.state === 'busy') this.settle(this.session.exchange.onBody(chunk, endStream), endStream);
    return true;
  }

  onTrailers(trailers: Trailers): void {
    if (this.state === 'busy') this.settle(this.session.exchange.onTrailers(trailers), true);
  }

  onReset(reason: StreamResetReason, details: string): void {
    if (this.state !== 'busy') return;
    this.state = 'idle';
    const text = details === '' ? `stream reset: ${reason}` : `stream reset: ${reason} (${details})`;
    this.session.finish(unreachable(text), this.reusable);
  }

  onWritable(): void {}

  private get reusable(): boolean {
    return this.session.context.reuseConnection && !this.ending;
  }

  private begin(): void {
    if (!this.send()) this.session.finish(unreachable('the connection takes no requests'), false);
  }

  private settle(result: HealthCheckResult | undefined, endStream: boolean): void {
    if (result === undefined) return;
    this.state = 'idle';
    this.session.finish(result, endStream && this.reusable && !this.session.exchange.lastOnConnection);
  }
}
