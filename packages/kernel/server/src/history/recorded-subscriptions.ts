import { ClusterSchema, type DescMessage, ListenerSchema } from '@dragoman/api';
import {
  ConfigError,
  type ConfigProblem,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type ConfigUpdate,
  type DiscoveredResource,
  formatProblem,
  type Logger,
  resourceOf,
  type SubscriptionCallbacks,
  type SubscriptionFailure,
  type SubscriptionOptions,
} from '@dragoman/core';
import type { ConfigHistory, Delivery } from './config-history.ts';
import { describeSource } from './describe-source.ts';

/** Of an update each resource is taken over or refused for itself; of other types none is when one is refused. */
const ONE_BY_ONE: ReadonlySet<string> = new Set([ClusterSchema.typeName, ListenerSchema.typeName]);

/** Subscriptions whose deliveries, and what came of them, are written into the history. */
export class RecordedSubscriptions implements ConfigSubscriptions {
  private readonly inner: ConfigSubscriptions;
  private readonly history: ConfigHistory;
  private readonly logger: Logger;

  constructor(inner: ConfigSubscriptions, history: ConfigHistory, logger: Logger) {
    this.inner = inner;
    this.history = history;
    this.logger = logger;
  }

  subscribe<D extends DescMessage>(options: SubscriptionOptions<D>): ConfigSubscription {
    const recorder = new Recorder(options, (delivery) => this.record(delivery));
    return this.inner.subscribe({ ...options, callbacks: recorder.callbacks });
  }

  check(...source: Parameters<ConfigSubscriptions['check']>): void {
    this.inner.check(...source);
  }

  /** Nobody's config fails for want of a history. */
  private record(delivery: Delivery): void {
    try {
      this.history.record(delivery);
    } catch (error) {
      this.logger.error(`the history of "${delivery.name}" could not be kept: ${String(error)}`);
    }
  }
}

class Recorder<D extends DescMessage> {
  readonly callbacks: SubscriptionCallbacks<D>;
  private readonly type: D;
  private readonly source: string;
  private readonly record: (delivery: Delivery) => void;
  /** Delivered, and not gone. */
  private readonly there = new Set<string>();
  /** Of the last update; the failure that follows it says the same again. */
  private refused: ReadonlySet<string> = new Set();

  constructor({ type, source, callbacks }: SubscriptionOptions<D>, record: (delivery: Delivery) => void) {
    this.type = type;
    this.source = describeSource(source);
    this.record = record;
    this.callbacks = {
      onUpdate: (update) => this.onUpdate(update, callbacks),
      onFailure: (reason, details) => {
        this.onFailure(reason, details);
        callbacks.onFailure(reason, details);
      },
    };
  }

  private onUpdate(update: ConfigUpdate<D>, callbacks: SubscriptionCallbacks<D>): void | Promise<void> {
    this.refused = new Set();
    const failed = (error: unknown): never => {
      this.settled(update, error);
      throw error;
    };
    let result: void | Promise<void>;
    try {
      result = callbacks.onUpdate(update);
    } catch (error) {
      return failed(error);
    }
    if (result === undefined) {
      this.settled(update, undefined);
      return undefined;
    }
    return result.then(() => this.settled(update, undefined), failed);
  }

  private settled({ changed, removed, versionInfo, full }: ConfigUpdate<D>, error: unknown): void {
    const reasons = error === undefined ? undefined : this.reasons(changed, error);
    const refused = new Set<string>();
    for (const { name, version, message } of changed) {
      const reason = reasons?.(name);
      if (reason !== undefined) refused.add(name);
      this.there.add(name);
      this.record({
        ...this.resource(name),
        version: version || versionInfo,
        outcome: reason === undefined ? 'accepted' : 'rejected',
        message,
        reason,
      });
    }
    this.refused = refused;
    // Where all is refused, what has gone goes on as well.
    if (reasons !== undefined && !ONE_BY_ONE.has(this.type.typeName)) return;
    const names = new Set(changed.map(({ name }) => name));
    const gone = full ? [...this.there].filter((name) => !names.has(name)) : removed;
    for (const name of gone) {
      this.there.delete(name);
      this.record({ ...this.resource(name), version: versionInfo, outcome: 'removed', message: undefined });
    }
  }

  /** Why each resource of an update was refused; undefined: it was not. */
  private reasons(
    changed: readonly DiscoveredResource<D>[],
    error: unknown,
  ): (name: string) => string | undefined {
    const problems: readonly ConfigProblem[] =
      error instanceof ConfigError ? error.problems : [{ path: '', message: String(error) }];
    const names = new Set(changed.map(({ name }) => name));
    const byName = new Map<string, string[]>();
    for (const problem of problems) {
      const name = resourceOf(problem, (one) => names.has(one));
      if (name !== undefined) byName.set(name, [...(byName.get(name) ?? []), textOf(problem, name)]);
    }
    const whole = problems.map(formatProblem).join('\n');
    const others = ONE_BY_ONE.has(this.type.typeName) && byName.size > 0 ? undefined : byName.size === 0;
    return (name) =>
      byName.get(name)?.join('\n') ??
      (others === undefined ? undefined : others ? whole : `refused with others of the update: ${whole}`);
  }

  /** What could not even be read, nobody is given: the failure alone tells of it. */
  private onFailure(reason: SubscriptionFailure, details: string): void {
    if (reason !== 'rejected') return;
    const byName = new Map<string, string[]>();
    for (const line of details.split('\n')) {
      const end = line.indexOf(': ');
      const name = end < 0 ? '' : line.slice(0, end);
      if (this.refused.has(name) || name === '' || /^resources\[\d+\]$/.test(name)) continue;
      byName.set(name, [...(byName.get(name) ?? []), line.slice(end + 2)]);
    }
    this.refused = new Set();
    for (const [name, lines] of byName)
      this.record({
        ...this.resource(name),
        version: '',
        outcome: 'rejected',
        message: undefined,
        reason: lines.join('\n'),
      });
  }

  private resource(name: string): Pick<Delivery, 'type' | 'source' | 'name'> {
    return { type: this.type, source: this.source, name };
  }
}

function textOf(problem: ConfigProblem, name: string): string {
  return formatProblem({ ...problem, path: problem.path.slice(name.length).replace(/^(: |\.)/, '') });
}
