import type { Secret } from '@dragoman/api';
import {
  ConfigError,
  type Counter,
  type FactoryContext,
  type Logger,
  type ResourceWatch,
} from '@dragoman/core';
import { digestOf, FileWatch } from '@dragoman/file-watch';
import type { Delivery } from './delivery.ts';
import { SecretNotReady, SecretRefused } from './not-ready.ts';
import { contentOf, oneLine, type SecretRef, secretField } from './secret-refs.ts';
import { SourceReader } from './source-reader.ts';

export interface LiveOptions<T> {
  /** For logs: whose it is, e.g. `listener 'x'`. */
  readonly owner: string;
  /** For logs: what is ready or not, e.g. `TLS`. */
  readonly what: string;
  /** For logs: what is made, e.g. `TLS context`. */
  readonly noun: string;
  readonly context: Pick<FactoryContext, 'clock' | 'dynamicResources' | 'stats'>;
  readonly logger: Logger;
  /** What {@link build} uses of secrets. */
  readonly secrets: readonly SecretRef[];
  /** Reads all of it. @throws ConfigError, SecretNotReady, SecretRefused: what `useSecret` and `readAll` throw */
  build(reader: SourceReader): T;
  /** A new one is there. */
  onBuilt?(value: T): void;
  /** It took the place of another one, or of none, some time after the beginning. */
  onUpdated?(): void;
  /** A new one was no good. That of a control plane which it is told of (NACK) is none of these. */
  onUpdateFailed?(): void;
}

/** What came of building: the value, or why there is none. */
type Attempt<T> =
  | { readonly value: T; readonly error?: undefined; readonly reader: SourceReader }
  | { readonly error: unknown; readonly reader: SourceReader };

/**
 * Something that is made of files and secrets, and made anew when they change. What is no good never takes the place of what is. A secret that is
 * removed stays as it was last, as in Envoy.
 */
export class Live<T> {
  /** Undefined while a secret is not there. */
  current: T | undefined = undefined;
  private readonly options: LiveOptions<T>;
  private readonly watches: ResourceWatch[] = [];
  private readonly rotationFailed: ReadonlyMap<string, Counter>;
  private files: FileWatch | undefined = undefined;
  /** Counts what has taken the place of something: an attempt from before that was made of other parts. */
  private generation = 0;
  private started = false;
  private closed = false;
  private reason = '';

  /** @throws ConfigError when the config is wrong; a secret that is not ready is none of its mistakes */
  constructor(options: LiveOptions<T>) {
    this.options = options;
    this.rotationFailed = new Map(
      options.secrets
        .filter(({ origin }) => origin === 'file' || origin === 'dynamic')
        .map(({ name }) => [name, options.context.stats.counter(`sds.${name}.key_rotation_failed`)]),
    );
    try {
      this.start();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Stops watching. What there is goes on being used by who has it. */
  close(): void {
    this.closed = true;
    this.files?.close();
    this.files = undefined;
    for (const watch of this.watches.splice(0)) watch.close();
  }

  private start(): void {
    const { secrets, owner, what, logger } = this.options;
    const first = this.attempt(new SourceReader());
    if ('value' in first) this.put(first.value);
    else if (first.error instanceof SecretNotReady) this.reason = first.error.message;
    else throw first.error;
    this.follow(first.reader);
    for (const ref of secrets) {
      const { delivery } = ref;
      if (delivery !== undefined) this.watches.push(this.receive(ref, delivery));
    }
    this.started = true;
    if (this.current === undefined) logger.warn(`${owner}: ${what} is not ready: ${this.reason}`);
  }

  private receive(ref: SecretRef, delivery: Delivery): ResourceWatch {
    try {
      return this.options.context.dynamicResources.watch(delivery.reference, {
        prepare: (secret) => this.prepare(ref, delivery, secret),
      });
    } catch (error) {
      throw ConfigError.at(ref.path, `secret "${ref.name}": ${oneLine(error as Error)}`);
    }
  }

  /** @throws ConfigError with paths below the secret */
  private prepare(ref: SecretRef, delivery: Delivery, secret: Secret | undefined): () => void {
    if (secret === undefined) return () => this.keepLast(ref.name);
    contentOf(secret, ref.kind);
    const { generation } = this;
    const attempt = this.attempt(new SourceReader({ delivery, secret }));
    if (this.isToBlame(attempt)) throw this.refusal(ref, attempt.error);
    return () => {
      if (this.closed) return;
      delivery.current = secret;
      const now = this.generation === generation ? attempt : this.attempt(new SourceReader());
      this.settle(now, `secret "${ref.name}"`, true);
    };
  }

  /** Whether an attempt failed for the version that it tried, and not for something else that has gone bad meanwhile. */
  private isToBlame({ error }: Attempt<T>): boolean {
    if (error === undefined || error instanceof SecretNotReady) return false;
    if (error instanceof SecretRefused) return true;
    const without = this.attempt(new SourceReader());
    return without.error === undefined || without.error instanceof SecretNotReady;
  }

  private refusal({ kind }: SecretRef, error: unknown): ConfigError {
    if (error instanceof SecretRefused) return error.problem;
    return ConfigError.at(
      secretField(kind),
      `${this.options.owner} cannot use it: ${oneLine(error as Error)}`,
    );
  }

  private keepLast(name: string): void {
    const { owner, logger } = this.options;
    if (!this.closed) logger.info(`${owner}: secret "${name}" was removed; its last version stays in use`);
  }

  private attempt(reader: SourceReader): Attempt<T> {
    try {
      return { value: this.options.build(reader), reader };
    } catch (error) {
      return { error: error ?? new Error('unknown'), reader };
    }
  }

  private put(value: T): void {
    this.current = value;
    this.options.onBuilt?.(value);
  }

  private follow(reader: SourceReader): void {
    if (this.files === undefined && reader.files.size === 0 && reader.directories.size === 0) return;
    this.files ??= new FileWatch({
      clock: this.options.context.clock,
      fingerprint: digestOf,
      onChange: () => this.reread(),
    });
    this.files.follow(reader);
  }

  private reread(): void {
    const attempt = this.attempt(new SourceReader());
    this.settle(attempt, `the new content of ${[...attempt.reader.files.keys()].join(', ')}`, false);
    if (attempt.error instanceof SecretNotReady)
      for (const name of attempt.error.broken) this.rotationFailed.get(name)?.inc();
  }

  /**
   * Takes what was built, or goes on without it. Does not throw: a mistake in this program must not end the thread either.
   * @param delivered the reason to build was a secret that came: others may still be on their way, which is no failure
   */
  private settle(attempt: Attempt<T>, cause: string, delivered: boolean): void {
    const { owner, what, logger } = this.options;
    this.generation++;
    if (!('value' in attempt)) {
      this.goOn(attempt, delivered);
      return;
    }
    this.put(attempt.value);
    this.follow(attempt.reader);
    if (!this.started) return;
    this.options.onUpdated?.();
    logger.info(`${owner}: ${what} goes on with ${cause}`);
  }

  private goOn({ error, reader }: Attempt<T>, delivered: boolean): void {
    const { owner, what, noun, logger } = this.options;
    this.reason = describe(error);
    if (this.files === undefined) this.follow(reader);
    else this.files.include(reader);
    if (!this.started) return;
    const missing = error instanceof SecretNotReady && error.broken.length === 0;
    if (delivered && missing && this.current === undefined) {
      logger.info(`${owner}: ${what} is still not ready: ${this.reason}`);
      return;
    }
    const kept = this.current === undefined ? 'it is still not ready' : 'the one before stays in use';
    this.options.onUpdateFailed?.();
    logger.warn(`${owner}: the new ${noun} is no good, ${kept}: ${this.reason}`);
  }
}

function describe(error: unknown): string {
  if (error instanceof ConfigError || error instanceof SecretNotReady) return oneLine(error);
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
