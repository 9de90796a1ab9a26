import type {
  Clock,
  ConfigProblem,
  ConfigUpdate,
  Logger,
  SubscriptionCallbacks,
  SubscriptionFailure,
  Timer,
} from '@dragoman/core';
import {
  collectionOf,
  isCollection,
  namespaceOf,
  spellings,
  type SubscriptionStats,
} from '@dragoman/xds-sources';
import { describeProblems, problemsOf } from './nack.ts';

const ALL = '*';
const NO_PROBLEMS: readonly ConfigProblem[] = [];

export interface WatchOptions {
  readonly names: readonly string[] | undefined;
  /** The first name stands for what is below it, too. */
  readonly namespaced: boolean;
  readonly callbacks: SubscriptionCallbacks;
  readonly stats: SubscriptionStats;
  /** 0: it waits without end. */
  readonly initialFetchTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For logs: `EDS`. */
  readonly label: string;
}

/** One subscriber of one type on one stream. */
export class Watch {
  /** Wanted names in canonical form, and as the subscriber wrote them; without `*`. */
  private spelled: ReadonlyMap<string, string>;
  /** Wants everything. */
  wildcard: boolean;
  /** Wants everything below this name. */
  namespace: string | undefined;
  /** What it was given last holds something: it has to hear when that is gone. */
  holding = false;
  stopped = false;
  /** Has had no update since it began, or asked for more. */
  private unanswered = true;
  /** Waited for longer than its config allows. */
  timedOut = false;
  private readonly options: WatchOptions;
  private readonly timer: Timer | undefined;
  private pending: ((problems: readonly ConfigProblem[]) => void) | undefined = undefined;

  constructor(options: WatchOptions) {
    this.options = options;
    this.spelled = named(options.names ?? []);
    this.wildcard = options.names === undefined || options.names.includes(ALL);
    this.namespace = this.namespaceIn(options.names);
    options.stats.attempt.inc();
    if (options.initialFetchTimeoutMs > 0) {
      this.timer = options.clock.timer(() => this.onTimeout());
      this.timer.enable(options.initialFetchTimeoutMs);
    }
  }

  get names(): Iterable<string> {
    return this.spelled.keys();
  }

  /** @returns names that were not wanted before, and those that are no longer */
  setNames(names: readonly string[]): { readonly added: string[]; readonly removed: string[] } {
    const before = this.spelled;
    this.spelled = named(names);
    this.wildcard = names.includes(ALL);
    this.namespace = this.namespaceIn(names);
    this.options.stats.attempt.inc();
    const added = [...this.spelled.keys()].filter((name) => !before.has(name));
    this.unanswered ||= added.length > 0;
    return { added, removed: [...before.keys()].filter((name) => !this.spelled.has(name)) };
  }

  /** Those that stand for any number of resources, also for none. */
  get openNames(): string[] {
    const { namespace } = this;
    return [...(namespace === undefined ? [] : [namespace]), ...[...this.names].filter(isCollection)];
  }

  /** That there is nothing is news to it, although it has asked by name. */
  get awaitsOpenNames(): boolean {
    return this.unanswered && this.openNames.length > 0;
  }

  wants(name: string): boolean {
    if (this.wildcard || this.spelled.has(name)) return true;
    if (this.namespace !== undefined && namespaceOf(name) === this.namespace) return true;
    const collection = collectionOf(name);
    return collection !== undefined && this.spelled.has(collection);
  }

  /** A canonical name as this subscriber writes it. */
  spell(name: string): string {
    return this.spelled.get(name) ?? name;
  }

  /**
   * Hands an update over.
   * @param update undefined: all that came is unreadable
   * @param bad what could not be read of what concerns this subscriber
   * @param done called once, perhaps before this returns, with what the subscriber refuses
   */
  deliver(
    update: ConfigUpdate | undefined,
    bad: readonly ConfigProblem[],
    done: (refused: readonly ConfigProblem[]) => void,
  ): void {
    this.timer?.disable();
    this.timedOut = false;
    this.options.stats.attempt.inc();
    if (update === undefined) {
      this.reject(bad);
      done(NO_PROBLEMS);
      return;
    }
    this.unanswered = false;
    const start = this.options.clock.now();
    const finish = (refused: readonly ConfigProblem[]) => {
      if (this.pending !== finish) return;
      this.pending = undefined;
      if (!this.stopped) this.settle(update, bad, refused, this.options.clock.now() - start);
      done(refused);
    };
    this.pending = finish;
    try {
      const result = this.options.callbacks.onUpdate(update);
      if (isThenable(result)) {
        result.then(
          () => finish(NO_PROBLEMS),
          (error: unknown) => finish(problemsOf(error)),
        );
      } else {
        finish(NO_PROBLEMS);
      }
    } catch (error) {
      finish(problemsOf(error));
    }
  }

  /** There is no stream any more, or there is none yet. */
  connectionFailed(details: string): void {
    const { stats } = this.options;
    stats.failure.inc();
    stats.attempt.inc();
    this.fail('connection', details);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.disable();
    this.pending?.(NO_PROBLEMS);
  }

  private namespaceIn(names: readonly string[] | undefined): string | undefined {
    return this.options.namespaced ? names?.[0] : undefined;
  }

  private settle(
    update: ConfigUpdate,
    bad: readonly ConfigProblem[],
    refused: readonly ConfigProblem[],
    durationMs: number,
  ): void {
    if (bad.length > 0 || refused.length > 0) {
      this.reject([...bad, ...refused]);
      return;
    }
    const { stats, clock } = this.options;
    const empty = update.changed.length === 0 && update.removed.length === 0;
    stats.updated(update.versionInfo, empty, clock.wallTime(), durationMs);
  }

  private reject(problems: readonly ConfigProblem[]): void {
    this.options.stats.rejected.inc();
    this.fail('rejected', describeProblems(problems));
  }

  private onTimeout(): void {
    const { stats, initialFetchTimeoutMs, label, logger } = this.options;
    this.timedOut = true;
    stats.initFetchTimeout.inc();
    stats.attempt.inc();
    const what = this.wildcard ? 'everything' : describeNames([...this.spelled.values()]);
    const text = `initial fetch timed out: ${label} for ${what} has not come within ${initialFetchTimeoutMs} ms`;
    logger.warn(text);
    this.fail('timeout', text);
  }

  private fail(reason: SubscriptionFailure, details: string): void {
    if (this.stopped) return;
    try {
      this.options.callbacks.onFailure(reason, details);
    } catch (error) {
      this.options.logger.error(`onFailure of a subscriber to ${this.options.label} threw: ${String(error)}`);
    }
  }
}

function named(names: readonly string[]): ReadonlyMap<string, string> {
  return spellings(names.filter((name) => name !== ALL));
}

function describeNames(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `"${name.slice(0, 100)}"`);
  return names.length > shown.length
    ? `${shown.join(', ')} and ${names.length - shown.length} more`
    : shown.join(', ');
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}
