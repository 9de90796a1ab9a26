import type { Clock, Counter, Gauge, Histogram, Logger, StatsScope, Timer } from '@dragoman/core';
import { OverloadActionName } from '@dragoman/core';
import type { OverloadPlan, Triggered } from './config.ts';
import { RESET_COUNT } from './names.ts';
import { createPage, type OverloadHandle, wordOf } from './page.ts';

export interface OverloadManagerOptions {
  readonly plan: OverloadPlan;
  readonly clock: Clock;
  readonly stats: StatsScope;
  readonly logger: Logger;
  /** The value of an action is another: workers that have something to do about it are to be told. */
  readonly onChange: () => void;
  /** `reset_high_memory_stream` is to act. */
  readonly resetStreams: () => void;
}

/** One resource: measured, and how much of it is used. */
interface Resource {
  readonly name: string;
  readonly measure: () => number | Promise<number>;
  readonly pressureGauge: Gauge;
  readonly failed: Counter;
  readonly skipped: Counter;
  /** Undefined until it was measured. */
  pressure: number | undefined;
  pending: boolean;
  lastFailure: string;
}

/** One action or load shed point, and the word that workers see of it. */
interface Decision extends Triggered {
  readonly index: number;
  readonly active: Gauge | undefined;
  readonly scalePercent: Gauge;
}

/** Measures the resources, and decides what the workers are to do about them. On main. */
export class OverloadManager {
  readonly handle: OverloadHandle;
  private readonly options: OverloadManagerOptions;
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly resources: readonly Resource[];
  private readonly decisions: readonly Decision[];
  private readonly delays: Histogram;
  private readonly timer: Timer;
  private measuredAt = 0;
  /** Measurements that were begun and are not there yet. */
  private awaited = 0;
  private stopped = false;

  constructor(options: OverloadManagerOptions) {
    const { plan, stats, clock } = options;
    this.options = options;
    const { monitors, actions, points } = plan;
    this.handle = {
      buffer: createPage(actions.length + points.length),
      actions: actions.map(({ name }) => name),
      points: points.map(({ name }) => name),
      timers: plan.timers,
      maxDownstreamConnections: monitors.find(({ monitor }) => monitor.maxDownstreamConnections !== undefined)
        ?.monitor.maxDownstreamConnections,
      resetPower: plan.resetPower,
    };
    this.words = new Int32Array(this.handle.buffer);
    // Counted by workers, and of the root as Envoy's; here so that it is there before the first.
    if (plan.resetPower !== undefined) stats.counter(RESET_COUNT);
    const scope = stats.scope('overload');
    this.delays = scope.histogram('refresh_interval_delay', 'milliseconds');
    this.resources = monitors.map(({ name, monitor }) => ({
      name,
      measure: () => monitor.measure(),
      pressureGauge: scope.gauge(`${name}.pressure`, 'never-import'),
      failed: scope.counter(`${name}.failed_updates`),
      skipped: scope.counter(`${name}.skipped_updates`),
      pressure: undefined,
      pending: false,
      lastFailure: '',
    }));
    this.decisions = [
      ...actions.map((action, i) => ({
        ...action,
        index: i,
        active: gauge(scope, `${action.name}.active`),
        scalePercent: gauge(scope, `${action.name}.scale_percent`),
      })),
      ...points.map((point, i) => {
        // Counted by workers; here so that it is there before the first.
        scope.counter(`${point.name}.shed_load_count`);
        return {
          ...point,
          index: actions.length + i,
          active: undefined,
          scalePercent: gauge(scope, `${point.name}.scale_percent`),
        };
      }),
    ];
    this.timer = clock.timer(() => this.refresh());
  }

  /** The first measurement comes after one interval, as in Envoy. */
  start(): void {
    this.measuredAt = this.options.clock.now();
    this.timer.enable(this.options.plan.refreshMs);
  }

  stop(): void {
    this.stopped = true;
    this.timer.disable();
  }

  /** Whether `shrink_heap` is to act. */
  get heapShrinks(): boolean {
    return this.wordOfAction(OverloadActionName.shrinkHeap) === wordOf(1);
  }

  private wordOfAction(name: OverloadActionName): number {
    const index = this.handle.actions.indexOf(name);
    return index < 0 ? 0 : Atomics.load(this.words, index);
  }

  private refresh(): void {
    const { clock, plan } = this.options;
    // First: whatever comes of a change, the next measurement does.
    this.timer.enable(plan.refreshMs);
    const late = this.awaited > 0;
    for (const resource of this.resources) this.measure(resource);
    this.decide();
    // Once a round: when the last measurement is there, but not without end for one that hangs.
    if (late || this.awaited === 0) this.resetStreams();
    const now = clock.now();
    this.delays.record(Math.round(now - this.measuredAt));
    this.measuredAt = now;
  }

  private measure(resource: Resource): void {
    if (resource.pending) {
      resource.skipped.inc();
      return;
    }
    let measured: number | Promise<number>;
    try {
      measured = resource.measure();
    } catch (error) {
      this.fail(resource, error);
      return;
    }
    if (typeof measured === 'number') {
      this.note(resource, measured);
      return;
    }
    resource.pending = true;
    this.awaited++;
    measured
      .then(
        (pressure) => this.note(resource, pressure),
        (error: unknown) => this.fail(resource, error),
      )
      .then(() => {
        resource.pending = false;
        this.awaited--;
        this.decide();
        if (this.awaited === 0) this.resetStreams();
      });
  }

  private note(resource: Resource, pressure: number): void {
    if (!Number.isFinite(pressure)) {
      this.fail(resource, new Error(`the pressure is ${pressure}`));
      return;
    }
    resource.pressure = pressure;
    resource.lastFailure = '';
    resource.pressureGauge.set(percent(pressure));
  }

  /** The last pressure stays. A failure that repeats itself is logged once. */
  private fail(resource: Resource, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    resource.failed.inc();
    if (text === resource.lastFailure) return;
    resource.lastFailure = text;
    this.options.logger.info(`failed to update resource ${resource.name}: ${text}`);
  }

  /** Puts down what follows from the pressures as they are. */
  private decide(): void {
    if (this.stopped) return;
    let changed = false;
    for (const decision of this.decisions) {
      const value = this.valueOf(decision);
      const word = wordOf(value);
      const before = Atomics.exchange(this.words, decision.index, word);
      if (word === before) continue;
      decision.active?.set(value >= 1 ? 1 : 0);
      decision.scalePercent.set(percent(value));
      if (decision.active === undefined) continue;
      changed = true;
      this.logTurn(decision.name, before, word);
    }
    if (changed) this.options.onChange();
  }

  /** As long as there is pressure, and not only when it has changed: the streams of one time may not have been enough. */
  private resetStreams(): void {
    if (!this.stopped && this.wordOfAction(OverloadActionName.resetHighMemoryStream) > 0)
      this.options.resetStreams();
  }

  /** The highest of its triggers counts. */
  private valueOf({ triggers }: Triggered): number {
    let highest = 0;
    for (const { resource, value } of triggers) {
      const { pressure } = this.resources[resource] as Resource;
      if (pressure !== undefined) highest = Math.max(highest, value(pressure));
    }
    return highest;
  }

  private logTurn(name: string, before: number, now: number): void {
    const full = wordOf(1);
    if ((before === full) === (now === full)) return;
    this.options.logger.info(
      `overload action ${name} became ${now === full ? 'saturated' : now === 0 ? 'inactive' : 'scaling'}`,
    );
  }
}

function gauge(scope: StatsScope, name: string): Gauge {
  const made = scope.gauge(name, 'never-import');
  made.set(0);
  return made;
}

/** Whole percents, rounded down as Envoy's; the small error of a binary fraction (0.29 · 100) is no percent. */
function percent(value: number): number {
  return Math.max(0, Math.floor(value * 100 + 1e-9));
}
