import { type DescMessage, typeUrl } from '@dragoman/api';
import type {
  Clock,
  ConfigProblem,
  ConfigSubscription,
  ConfigUpdate,
  SubscriptionCallbacks,
  SubscriptionFailure,
  SubscriptionOptions,
} from '@dragoman/core';
import { canonicalName } from '@dragoman/xds-sources';
import { Application } from './application.ts';
import { KnownResources, type RefusedUpdate } from './known-resources.ts';
import { describeProblems, problemsOf } from './nack.ts';
import type { Part } from './part.ts';
import type { Reported } from './report.ts';

/** What a subscriber has refused, until its source says where that stands. */
interface Refusal {
  readonly update: ConfigUpdate;
  readonly application: Application;
}

/** A subscription to a file or a REST service: hands on what comes, and notes what became of it. */
export class OtherSubscription implements Part, Reported, SubscriptionCallbacks {
  readonly typeUrl: string;
  readonly known: KnownResources;
  /** As the report names them. */
  readonly source: 'file' | 'rest';
  version = '';
  lastError: RefusedUpdate | undefined = undefined;
  readonly skipped = 0;
  readonly unwanted = 0;
  private readonly clock: Clock;
  private readonly callbacks: SubscriptionCallbacks;
  private readonly subscription: ConfigSubscription;
  private readonly onStop: () => void;
  private wanted: ReadonlySet<string> | undefined;
  private timedOut = false;
  private refusal: Refusal | undefined = undefined;

  /**
   * @param open may call back before it returns
   * @throws ConfigError of `open`
   */
  constructor(
    source: 'file' | 'rest',
    options: SubscriptionOptions<DescMessage>,
    clock: Clock,
    open: (options: SubscriptionOptions<DescMessage>) => ConfigSubscription,
    onStop: () => void,
  ) {
    this.source = source;
    this.typeUrl = typeUrl(options.type);
    this.clock = clock;
    this.callbacks = options.callbacks;
    this.onStop = onStop;
    this.wanted = options.names && new Set(options.names.map(canonicalName));
    // Nothing from here has a time to live.
    this.known = new KnownResources(clock, () => {});
    this.subscription = open({ ...options, callbacks: this });
  }

  setNames(names: readonly string[]): void {
    const wanted = new Set(names.map(canonicalName));
    this.wanted = wanted;
    this.known.keepOnly((name, aliases) => [name, ...aliases].some((one) => wanted.has(one)), false);
    this.subscription.setNames(names);
  }

  stop(): void {
    this.subscription.stop();
    this.known.close();
    this.onStop();
  }

  // --- Reported ------------------------------------------------------------------------------------------------------------

  get names(): Iterable<string> {
    return this.wanted ?? [];
  }

  get lateNames(): ReadonlySet<string> {
    return new Set(this.timedOut ? this.names : []);
  }

  // --- SubscriptionCallbacks -----------------------------------------------------------------------------------------------

  onUpdate(update: ConfigUpdate): void | Promise<void> {
    const refuse = (error: unknown): never => {
      const application = new Application(() => {});
      application.blame(problemsOf(error), update.changed);
      this.refusal = { update, application };
      throw error;
    };
    this.timedOut = false;
    let taken: void | Promise<void>;
    try {
      taken = this.callbacks.onUpdate(update);
    } catch (error) {
      return refuse(error);
    }
    if (taken === undefined) this.accept(update);
    else return taken.then(() => this.accept(update), refuse);
  }

  onFailure(reason: SubscriptionFailure, details: string): void {
    if (reason === 'timeout') this.timedOut = true;
    else if (reason === 'rejected') this.refuse(details);
    this.callbacks.onFailure(reason, details);
  }

  private accept({ changed, versionInfo }: ConfigUpdate): void {
    const { known, wanted } = this;
    const there = new Set(changed.flatMap(({ name, aliases = [] }) => [name, ...aliases].map(canonicalName)));
    for (const { name } of [...known]) if (!there.has(name)) known.forget(name);
    for (const name of wanted ?? []) if (!there.has(name)) known.remove(name, true);
    for (const resource of changed) known.accept(canonicalName(resource.name), resource, undefined);
    this.version = versionInfo;
    this.lastError = undefined;
  }

  /** @param details where it stands in the source, too */
  private refuse(details: string): void {
    const { refusal, known } = this;
    const at = this.clock.wallTime();
    this.refusal = undefined;
    if (refusal === undefined) {
      this.lastError = { details, version: '', at };
      return;
    }
    const { update, application } = refusal;
    this.lastError = { details, version: update.versionInfo, at };
    for (const resource of update.changed) {
      const name = canonicalName(resource.name);
      const about = application.problemsOf(name);
      if (about === undefined) known.accept(name, resource, undefined);
      else
        known.refuse(name, {
          details: this.tell(about, application, details),
          version: resource.version,
          at,
        });
    }
  }

  private tell(about: readonly ConfigProblem[], { refused }: Application, details: string): string {
    return about.length === refused.length ? details : describeProblems(about);
  }
}
