import { type Clock, ConfigError, type Logger } from '@dragoman/core';
import type { FactoryStats } from '../stats.ts';
import { FolderWatch } from './folder-watch.ts';
import { SecretNotReady } from './secret-refs.ts';
import { SourceReader } from './source-reader.ts';

export interface LiveOptions<T> {
  /** For logs: the listener or cluster. */
  readonly owner: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stats: FactoryStats;
  /** Reads all of it. @throws ConfigError with paths below `common_tls_context`, SecretNotReady */
  build(reader: SourceReader): T;
  /** A new one is there. */
  onBuilt(value: T): void;
}

/** Something that is made of files, and made anew when they change. What is no good never takes the place of what is. */
export class Live<T> {
  /** Undefined while a secret of a file is not there. */
  current: T | undefined = undefined;
  private readonly options: LiveOptions<T>;
  private watch: FolderWatch | undefined = undefined;

  /** @throws ConfigError when the config is wrong; a secret that is not ready is none of its mistakes */
  constructor(options: LiveOptions<T>) {
    this.options = options;
    const reader = new SourceReader();
    try {
      this.put(options.build(reader));
    } catch (error) {
      if (error instanceof ConfigError) throw error.within('common_tls_context');
      if (!(error instanceof SecretNotReady)) throw error;
      options.logger.warn(`${options.owner}: TLS is not ready: ${error.message}`);
    }
    if (reader.files.size === 0 && reader.directories.size === 0) return;
    this.watch = new FolderWatch(options.clock, () => this.rebuild());
    this.watch.follow(reader);
  }

  /** Stops watching. What there is goes on being used by who has it. */
  close(): void {
    this.watch?.close();
    this.watch = undefined;
  }

  private put(value: T): void {
    this.current = value;
    this.options.onBuilt(value);
  }

  private rebuild(): void {
    const { owner, logger, stats } = this.options;
    const reader = new SourceReader();
    try {
      this.put(this.options.build(reader));
      this.watch?.follow(reader);
      stats.contextUpdate.inc();
      logger.info(`${owner}: TLS goes on with the new content of ${[...reader.files.keys()].join(', ')}`);
    } catch (error) {
      // A mistake in this program must not end the thread either: the old context serves on.
      this.watch?.include(reader);
      stats.contextUpdateFailed.inc();
      const kept = this.current === undefined ? 'it is still not ready' : 'the one before stays in use';
      logger.warn(`${owner}: the new TLS context is no good, ${kept}: ${describe(error)}`);
    }
  }
}

function describe(error: unknown): string {
  if (error instanceof ConfigError || error instanceof SecretNotReady)
    return error.message.replaceAll('\n', '; ');
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
