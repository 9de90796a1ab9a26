import { readFileSync, statSync } from 'node:fs';
import { create, type DescMessage, type PathConfigSource, PathConfigSourceSchema } from '@dragoman/api';
import {
  ConfigError,
  type ConfigSubscription,
  type Logger,
  refuseUnsupported,
  type SubscriptionOptions,
  type Timer,
} from '@dragoman/core';
import { FileWatch, stampOf } from '@dragoman/file-watch';
import { Delivery } from './delivery.ts';
import { MAX_RESPONSE_BYTES, type ReadResponse, UnreadableResponse } from './discovery-response.ts';
import type { FileSourceContext } from './source-context.ts';

/** A file that cannot be read once it has changed may be written only in part: it is read again, this much later. */
const SECOND_LOOK_MS = 500;

const SPACE = 0x20;

const FIELDS = new Set(['path', 'watched_directory']);

/** The deprecated `ConfigSource.path` as what has taken its place. */
export function pathConfigSource(path: string): PathConfigSource {
  return create(PathConfigSourceSchema, { path });
}

/**
 * Subscribes to a file that holds a `DiscoveryResponse`: YAML, JSON, text format or binary, by its name. It is read at once, and the first callback may come
 * before this returns; then again whenever it has changed. What a file that is no good had said before stays.
 *
 * @throws ConfigError with a path below the PathConfigSource when there is no such file or directory now, as in Envoy
 */
export function createFileSubscription<D extends DescMessage>(
  options: SubscriptionOptions<D>,
  source: PathConfigSource,
  context: FileSourceContext,
): ConfigSubscription {
  checkPathSource(source);
  return new FileSubscription(options, source.path, source.watchedDirectory?.path, context);
}

/** @throws ConfigError with a path below the PathConfigSource */
export function checkPathSource(source: PathConfigSource): void {
  refuseUnsupported(source, PathConfigSourceSchema, FIELDS);
  const { path, watchedDirectory } = source;
  if (path === '') throw ConfigError.at('path', 'is required');
  requirePath(path, 'path');
  if (watchedDirectory !== undefined) requirePath(watchedDirectory.path, 'watched_directory.path');
}

function requirePath(path: string, field: string): void {
  try {
    statSync(path);
  } catch (error) {
    throw ConfigError.at(
      field,
      `"${path}" must be there when the config that names it is loaded: ${(error as Error).message}`,
    );
  }
}

class FileSubscription<D extends DescMessage> implements ConfigSubscription {
  private readonly path: string;
  private readonly logger: Logger;
  private readonly delivery: Delivery<D>;
  private readonly watch: FileWatch;
  private readonly secondLook: Timer;
  /** What is to be handed over once the subscriber is done with what it has. */
  private next: 'file' | 'names' | undefined = undefined;
  private busy = false;
  /** What the file held when it was last all right. */
  private last: ReadResponse<D> | undefined = undefined;

  constructor(
    options: SubscriptionOptions<D>,
    path: string,
    directory: string | undefined,
    context: FileSourceContext,
  ) {
    const { clock, loggers, settleMs } = context;
    this.path = path;
    this.logger = loggers.logger('config');
    this.delivery = new Delivery(options, context, this.logger, path);
    this.secondLook = clock.timer(() => this.refresh(true));
    this.watch = new FileWatch({ clock, settleMs, onChange: () => this.refresh(false) });
    this.watch.follow({
      files: new Map([[path, stampOf(path)]]),
      directories: directory === undefined ? [] : [directory],
    });
    this.refresh(true);
  }

  setNames(names: readonly string[]): void {
    if (!this.delivery.setNames(names)) return;
    this.next ??= 'names';
    // The subscriber may be in the middle of something.
    queueMicrotask(() => this.goOn());
  }

  stop(): void {
    this.delivery.stop();
    this.watch.close();
    this.secondLook.disable();
    this.next = undefined;
    this.last = undefined;
  }

  /** @param final what cannot be read is reported, and not looked at once more */
  private refresh(final: boolean): void {
    if (this.busy) {
      this.next = 'file';
      return;
    }
    const response = this.read(final);
    if (response === undefined) return;
    this.last = response;
    this.handOver(response);
  }

  private handOver(response: ReadResponse<D>): void {
    this.next = undefined;
    this.busy = true;
    this.delivery.deliver(response, (refusal) => {
      this.busy = false;
      if (refusal === undefined)
        this.logger.debug(`config update accepted: ${this.path}: version "${response.version}"`);
      this.goOn();
    });
  }

  private goOn(): void {
    if (this.busy || this.next === undefined) return;
    const { next, last } = this;
    this.next = undefined;
    if (next === 'file') this.refresh(false);
    else if (last !== undefined) this.handOver(last);
  }

  /** Undefined when it is no good, which was told, or will be. */
  private read(final: boolean): ReadResponse<D> | undefined {
    const { stats } = this.delivery;
    try {
      const response = this.delivery.read({ bytes: readWhole(this.path), file: this.path });
      this.secondLook.disable();
      stats.attempt.inc();
      return response;
    } catch (error) {
      if (!final) {
        if (!this.secondLook.enabled) this.secondLook.enable(SECOND_LOOK_MS);
        return undefined;
      }
      stats.attempt.inc();
      if (error instanceof UnreadableResponse) {
        stats.failure.inc();
        this.logger.warn(`config update failure: ${error.message}`);
        this.delivery.fail('rejected', error.message);
      } else this.delivery.reject(error);
      return undefined;
    }
  }
}

/** @throws UnreadableResponse */
function readWhole(path: string): Buffer {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new Error('it is no file');
    if (stat.size > MAX_RESPONSE_BYTES)
      throw new Error(`it has ${stat.size} bytes, more than ${MAX_RESPONSE_BYTES}`);
    const bytes = readFileSync(path);
    // Whoever writes it anew has begun by making it empty: that is not to say that there is nothing any more.
    if (!bytes.some((byte) => byte > SPACE)) throw new Error('it is empty');
    return bytes;
  } catch (error) {
    throw new UnreadableResponse(`${path}: cannot be read: ${(error as Error).message}`);
  }
}
