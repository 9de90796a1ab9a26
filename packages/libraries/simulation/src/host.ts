import type { Clock, RandomSource } from '@dragoman/core';
import { type Condition, type Timeline, WELL } from './condition.ts';
import type { Latency } from './latency.ts';
import { LoadMeter } from './load-meter.ts';

/** What a host is like. */
export interface HostModel {
  /** From when a request is begun with to its answer, milliseconds. */
  readonly serviceTime: Latency;
  /** Requests that are served at a time; the others wait, first come, first served. Default: all at once. */
  readonly servers?: number;
  /** Requests that may wait; the next is answered 503 at once. Default: no limit. */
  readonly queueLimit?: number;
  /** On the way there and back, milliseconds; opening a connection takes as long. Default 0. */
  readonly roundTrip?: Latency;
  /** What goes wrong when. Default: nothing. */
  readonly condition?: Timeline;
  /** Answers say what load the host had over a span of as many milliseconds (ORCA, in `endpoint-load-metrics`). Needs {@link servers}. Default: they do not. */
  readonly reportsLoadOverMs?: number;
}

/** Who has sent a request to a host. */
export interface Exchange {
  /** @param load what is to stand in `endpoint-load-metrics` */
  onAnswer(status: number, load: string | undefined): void;
  /** The host is gone, and the connection with it. */
  onLost(): void;
}

/** A host of the simulated network. */
export class SimHost {
  readonly address: string;
  /** Position among the hosts of its network. */
  readonly index: number;
  /** May be replaced at any time: counts from the next request on, but for whether the load is reported. */
  model: HostModel;
  /** Requests that have come, that it has answered well, and that it has answered with an error or lost. */
  arrived = 0;
  served = 0;
  failed = 0;
  /** Requests in service. */
  busy = 0;
  private readonly waiting: Job[] = [];
  /** Where in {@link waiting} the queue begins. */
  private head = 0;
  private readonly clock: Clock;
  private readonly random: RandomSource;
  private readonly startedAt: number;
  private readonly meter: LoadMeter | undefined = undefined;

  constructor(address: string, index: number, model: HostModel, clock: Clock, random: RandomSource) {
    this.address = address;
    this.index = index;
    this.model = model;
    this.clock = clock;
    this.random = random;
    this.startedAt = clock.now();
    const { reportsLoadOverMs, servers } = model;
    if (reportsLoadOverMs !== undefined && servers !== undefined)
      this.meter = new LoadMeter(this.startedAt, reportsLoadOverMs, servers);
  }

  /** Requests that wait for a server. */
  get queued(): number {
    return this.waiting.length - this.head;
  }

  /** How it is at this moment. */
  get condition(): Condition {
    const { condition } = this.model;
    return condition === undefined ? WELL : condition(this.clock.now() - this.startedAt);
  }

  /** Draws how long the way there and back takes. */
  drawRoundTrip(): number {
    return this.model.roundTrip?.(this.random) ?? 0;
  }

  /**
   * Takes a request. Whoever has sent it may lose interest: the work is done all the same, as servers do that only notice when they answer.
   */
  take(exchange: Exchange): void {
    this.arrived++;
    const { condition, model } = this;
    if (condition.reachable === 'silent') {
      this.failed++;
      return;
    }
    if (condition.reachable === 'refuses') {
      this.lose(exchange);
      return;
    }
    const fails = condition.errorRate > 0 && this.random.random() < condition.errorRate;
    const status = fails ? condition.errorStatus : 200;
    if (fails && condition.errorTimeMs !== undefined) {
      this.answerAfter(condition.errorTimeMs, exchange, status);
      return;
    }
    if (model.servers === undefined || this.busy < model.servers) this.serve(exchange, status);
    else if (this.queued < (model.queueLimit ?? Number.POSITIVE_INFINITY))
      this.waiting.push({ exchange, status });
    else this.answerAfter(0, exchange, 503);
  }

  private serve(exchange: Exchange, status: number): void {
    this.meter?.onBusy(this.clock.now(), this.busy);
    this.busy++;
    const timer = this.clock.timer(() => this.finish(exchange, status));
    timer.enable(this.model.serviceTime(this.random) * this.condition.timeFactor);
  }

  private finish(exchange: Exchange, status: number): void {
    this.meter?.onBusy(this.clock.now(), this.busy);
    this.busy--;
    const { reachable } = this.condition;
    this.serveNext();
    if (reachable === 'yes') this.answer(exchange, status);
    else if (reachable === 'refuses') this.lose(exchange);
    else this.failed++;
  }

  private serveNext(): void {
    if (this.head === this.waiting.length) return;
    const { exchange, status } = this.waiting[this.head++];
    if (this.head > 64 && this.head * 2 > this.waiting.length) {
      this.waiting.splice(0, this.head);
      this.head = 0;
    }
    this.serve(exchange, status);
  }

  /** Never from inside the call that brought the request. */
  private answerAfter(ms: number, exchange: Exchange, status: number): void {
    const load = this.account(status);
    this.clock.timer(() => exchange.onAnswer(status, load)).enable(ms + this.drawRoundTrip());
  }

  private answer(exchange: Exchange, status: number): void {
    const load = this.account(status);
    const delayMs = this.drawRoundTrip();
    if (delayMs === 0) exchange.onAnswer(status, load);
    else this.clock.timer(() => exchange.onAnswer(status, load)).enable(delayMs);
  }

  /** @returns what it reports of its load */
  private account(status: number): string | undefined {
    if (status < 500) this.served++;
    else this.failed++;
    return this.report(status);
  }

  private report(status: number): string | undefined {
    const { meter } = this;
    if (meter === undefined) return undefined;
    meter.onBusy(this.clock.now(), this.busy);
    meter.onAnswer(status < 500);
    return meter.text;
  }

  private lose(exchange: Exchange): void {
    this.failed++;
    this.clock.timer(() => exchange.onLost()).enable(this.drawRoundTrip());
  }
}

interface Job {
  readonly exchange: Exchange;
  readonly status: number;
}
