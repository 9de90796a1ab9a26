import type { ConfigSource as Document, DescMessage } from '@dragoman/api';
import {
  type Clock,
  ConfigError,
  type DiscoveredResource,
  type Counter,
  type Logger,
  type SubscriptionFailure,
  type SubscriptionOptions,
} from '@dragoman/core';
import { type ReadResponse, readResponse, UnreadableResponse } from './discovery-response.ts';
import type { FileSourceContext, UnknownFields } from './source-context.ts';
import { SubscriptionStats } from './subscription-stats.ts';
import { canonicalName, spellings } from './xdstp.ts';

/** Reads responses and hands them to a subscriber, one at a time, and counts how it took them. Nothing that a subscriber throws gets past this. */
export class Delivery<D extends DescMessage> {
  readonly stats: SubscriptionStats;
  private readonly options: SubscriptionOptions<D>;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly unknownFields: UnknownFields;
  private readonly unknown: Counter;
  /** For logs: where it comes from. */
  private readonly origin: string;
  /** As the subscriber writes them, by canonical form. */
  private names: ReadonlyMap<string, string> | undefined;
  private warned = '';
  private stopped = false;

  constructor(options: SubscriptionOptions<D>, context: FileSourceContext, logger: Logger, origin: string) {
    this.options = options;
    this.clock = context.clock;
    this.logger = logger;
    this.unknownFields = context.unknownFields ?? 'warn';
    this.unknown = context.stats.counter('server.dynamic_unknown_fields');
    this.origin = origin;
    this.stats = new SubscriptionStats(options.stats, options.type);
    this.names = wantedOf(options.names);
  }

  /** Undefined: everything. */
  get wanted(): readonly string[] | undefined {
    return this.names && [...this.names.keys()];
  }

  /** True when other names are wanted than before. */
  setNames(names: readonly string[]): boolean {
    const before = this.names;
    const now = wantedOf(names);
    this.names = now;
    if (before === undefined || now === undefined) return before !== now;
    return before.size !== now.size || [...now.keys()].some((name) => !before.has(name));
  }

  stop(): void {
    this.stopped = true;
  }

  /** @throws UnreadableResponse, ConfigError */
  read(document: Document): ReadResponse<D> {
    const response = readResponse(document, this.options.type, this.unknownFields);
    if (this.unknownFields === 'warn') this.unknown.add(response.messagesWithUnknownFields);
    return response;
  }

  /**
   * Calls `done` once the subscriber has taken the response over, or has refused it: with the reason then. At once when it can; not after
   * {@link stop}.
   */
  deliver(response: ReadResponse<D>, done: (refusal: string | undefined) => void): void {
    const { clock } = this;
    const begun = clock.now();
    const changed = this.wantedIn(response);
    const accept = (): void => {
      if (this.stopped) return;
      this.stats.updated(response.version, changed.length === 0, clock.wallTime(), clock.now() - begun);
      this.tellWarnings(response.warnings);
      done(undefined);
    };
    const refuse = (error: unknown): void => {
      if (this.stopped) return;
      done(this.reject(error instanceof ConfigError ? response.locate(error) : error));
    };
    let taken: void | Promise<void>;
    try {
      taken = this.options.callbacks.onUpdate({
        changed,
        removed: [],
        versionInfo: response.version,
        full: true,
      });
    } catch (error) {
      refuse(error);
      return;
    }
    if (taken === undefined) accept();
    else taken.then(accept, refuse);
  }

  private wantedIn({ resources }: ReadResponse<D>): readonly DiscoveredResource<D>[] {
    const { names } = this;
    if (names === undefined) return resources;
    return resources.flatMap((resource) => {
      const { name, aliases = [] } = resource;
      const spelled = names.get(canonicalName(name));
      if (spelled !== undefined) return spelled === name ? resource : { ...resource, name: spelled };
      return aliases.some((alias) => names.has(canonicalName(alias))) ? resource : [];
    });
  }

  /** What came is no good. Returns why. */
  reject(error: unknown): string {
    this.stats.rejected.inc();
    const expected = error instanceof ConfigError || error instanceof UnreadableResponse;
    const text = error instanceof Error ? error.message : String(error);
    this.logger.warn(`config update rejected: ${this.origin}: ${expected ? text : whole(error)}`);
    this.fail('rejected', text);
    return text;
  }

  /** Tells the subscriber. */
  fail(reason: SubscriptionFailure, details: string): void {
    if (this.stopped) return;
    try {
      this.options.callbacks.onFailure(reason, details);
    } catch (error) {
      this.logger.error(`a subscriber of ${this.origin} failed with an error of its own: ${whole(error)}`);
    }
  }

  private tellWarnings(warnings: readonly string[]): void {
    const text = warnings.join('\n');
    // The same file is read again and again.
    if (text !== this.warned) for (const warning of warnings) this.logger.warn(`${this.origin}: ${warning}`);
    this.warned = text;
  }
}

/** Undefined: everything. */
function wantedOf(names: readonly string[] | undefined): ReadonlyMap<string, string> | undefined {
  return names === undefined || names.includes('*') ? undefined : spellings(names);
}

function whole(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
