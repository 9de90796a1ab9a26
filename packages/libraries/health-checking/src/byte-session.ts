import type {
  Connection,
  ConnectionCloseKind,
  ConnectionHandler,
  HealthCheckerContext,
  HealthCheckResult,
  HealthCheckSession,
  HealthCheckTarget,
} from '@dragoman/core';
import { unreachable } from './results.ts';

/** What a check came to. */
export interface ByteVerdict {
  readonly result: HealthCheckResult;
  /** Whether the connection is fit for another check. */
  readonly keep: boolean;
}

/** What is sent and expected on a connection, again and again. */
export interface ByteExchange {
  /**
   * A check begins.
   * @param fresh the connection was made for it
   */
  begin(connection: Connection, fresh: boolean): ByteVerdict | undefined;
  /** Bytes have come, which are borrowed. */
  onData(data: Buffer): ByteVerdict | undefined;
}

/**
 * Checks on a plain connection, which is kept between checks where `reuse_connection` says so.
 *
 * What comes between two checks belongs to none: it is thrown away, or, with `strict`, ends the connection.
 */
export class ByteCheckSession implements HealthCheckSession {
  readonly context: HealthCheckerContext;
  readonly target: HealthCheckTarget;
  readonly exchange: ByteExchange;
  readonly strict: boolean;
  private link: Link | undefined;
  private done: ((result: HealthCheckResult) => void) | undefined;

  constructor(
    context: HealthCheckerContext,
    target: HealthCheckTarget,
    exchange: ByteExchange,
    { strict = false }: { readonly strict?: boolean } = {},
  ) {
    this.context = context;
    this.target = target;
    this.exchange = exchange;
    this.strict = strict;
  }

  check(done: (result: HealthCheckResult) => void): void {
    this.done = done;
    if (this.link?.send(false) === true) return;
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

  /** The check in hand, if there is one, is over. */
  finish(result: HealthCheckResult, keep: boolean): void {
    const { done } = this;
    this.done = undefined;
    if (!keep || !this.context.reuseConnection) this.drop();
    done?.(result);
  }

  drop(): void {
    const { link } = this;
    this.link = undefined;
    link?.close();
  }
}

/** One connection. What it still says after {@link close} concerns nobody. */
class Link implements ConnectionHandler {
  private readonly session: ByteCheckSession;
  private connection: Connection | undefined;
  private state: 'connecting' | 'idle' | 'busy' | 'closed' = 'connecting';

  constructor(session: ByteCheckSession) {
    this.session = session;
  }

  open(): void {
    const { context, target } = this.session;
    const connection = context.connect(target, this);
    this.connection = connection;
    if (this.state === 'closed') connection.close('now');
    else if (this.state === 'idle') this.send(true);
  }

  /** @returns false when the connection is gone */
  send(fresh: boolean): boolean {
    const { connection } = this;
    if (this.state !== 'idle' || connection?.open !== true) return false;
    this.state = 'busy';
    this.settle(this.session.exchange.begin(connection, fresh));
    if (this.state === 'busy') connection.flush();
    return true;
  }

  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.connection?.close('now');
  }

  onConnected(): void {
    if (this.state !== 'connecting') return;
    this.state = 'idle';
    if (this.connection === undefined) return;
    if (!this.send(true)) this.session.finish(unreachable('connection closed'), false);
  }

  onData(data: Buffer): void {
    if (this.state === 'busy') this.settle(this.session.exchange.onData(data));
    else if (this.state === 'idle' && this.session.strict) this.session.drop();
  }

  onEnd(): void {
    this.end('the host closed the connection');
  }

  onWritable(): void {}

  onClose(_kind: ConnectionCloseKind, reason: string): void {
    this.end(reason === '' ? 'connection closed' : reason);
  }

  private end(reason: string): void {
    const { state } = this;
    if (state === 'closed') return;
    if (state === 'idle') this.session.drop();
    else this.session.finish(unreachable(reason), false);
  }

  private settle(verdict: ByteVerdict | undefined): void {
    if (verdict === undefined || this.state !== 'busy') return;
    this.state = 'idle';
    this.session.finish(verdict.result, verdict.keep);
  }
}
