import type { Clock, GrpcCallStatus, Timer } from '@dragoman/core';

/** A stream to a management server, as far as the protocol uses it. `GrpcStream` is one. */
export interface Link<Q> {
  /** False: stop until `onWritable`. */
  send(request: Q): boolean;
  readonly writable: boolean;
  pause(): void;
  resume(): void;
}

/** What happens on a link that opens again by itself whenever it ends. */
export interface LinkCallbacks<Q, R> {
  onOpen(link: Link<Q>): void;
  onMessage(response: R): void;
  onWritable(): void;
  onEnd(status: GrpcCallStatus): void;
}

/** Opens a link that is opened again, with back-off, until it is closed; callbacks may come before it returns. */
export type OpenLink<Q, R> = (callbacks: LinkCallbacks<Q, R>) => { close(): void };

export interface LinkUser<Q, R> {
  /** @param sameServer the one that the last response came from, or the first one ever */
  onOpen(link: Link<Q>, sameServer: boolean): void;
  onMessage(response: R): void;
  onWritable(): void;
  onEnd(status: GrpcCallStatus): void;
}

/** Tries of the first server that fail before the second one is asked. */
const MAX_FAILURES = 2;
/** Between the end of the second server's stream and the next try of the first. */
const RETURN_DELAY_MS = 500;
const NONE = -1;

/**
 * A link to the first of up to two servers, or to the second while the first has never answered. As in Envoy: the second is asked once the first has
 * failed twice in a row; when its stream ends, the first is tried again, and so on in turn; a first server that has answered is kept for good.
 */
export class FailoverLink<Q, R> implements LinkCallbacks<Q, R> {
  private readonly servers: readonly OpenLink<Q, R>[];
  private readonly user: LinkUser<Q, R>;
  private readonly timer: Timer;
  private opened: { close(): void } | undefined = undefined;
  private current = 0;
  private next = NONE;
  private failures = 0;
  private firstAnswered = false;
  private closed = false;
  /** Which server the last response is from. */
  private lastAnswer: number | undefined;

  /** @param replaced what is known comes from other servers */
  constructor(servers: readonly OpenLink<Q, R>[], clock: Clock, user: LinkUser<Q, R>, replaced: boolean) {
    this.servers = servers;
    this.user = user;
    this.lastAnswer = replaced ? NONE : undefined;
    this.timer = clock.timer(() => this.openNext());
  }

  /** Begins; the user must be ready. */
  start(): void {
    this.open(0);
  }

  /** 1: the first server, 2: the second. */
  get state(): number {
    return this.current + 1;
  }

  close(): void {
    this.closed = true;
    this.timer.disable();
    this.opened?.close();
    this.opened = undefined;
  }

  // --- LinkCallbacks -------------------------------------------------------------------------------------------------------

  onOpen(link: Link<Q>): void {
    this.user.onOpen(link, this.lastAnswer === undefined || this.lastAnswer === this.current);
  }

  onMessage(response: R): void {
    this.lastAnswer = this.current;
    if (this.current === 0) {
      this.firstAnswered = true;
      this.failures = 0;
    }
    this.user.onMessage(response);
  }

  onWritable(): void {
    this.user.onWritable();
  }

  onEnd(status: GrpcCallStatus): void {
    this.user.onEnd(status);
    if (this.closed || this.servers.length < 2 || this.firstAnswered) return;
    if (this.current === 0 && ++this.failures < MAX_FAILURES) return;
    this.next = 1 - this.current;
    this.opened?.close();
    this.opened = undefined;
    this.timer.enable(this.next === 0 ? RETURN_DELAY_MS : 0);
  }

  private openNext(): void {
    if (this.closed || this.next === NONE) return;
    this.open(this.next);
  }

  private open(index: number): void {
    this.current = index;
    this.next = NONE;
    const opened = this.servers[index](this);
    // It may have ended, and been given up, before it was there.
    if (this.closed || this.next !== NONE) opened.close();
    else this.opened = opened;
  }
}
