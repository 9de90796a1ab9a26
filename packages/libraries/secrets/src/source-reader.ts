import { readFileSync } from 'node:fs';
import { type DataSource, readDataSource, type Secret, type WatchedDirectory } from '@dragoman/api';
import { digestOfContent } from '@dragoman/file-watch';
import type { Delivery } from './delivery.ts';

/** A version of a secret that is looked at before it takes the place of the one before. */
export interface Trial {
  readonly delivery: Delivery;
  readonly secret: Secret;
}

/**
 * Reads the data sources of a config and the secrets that have come, and notes which files it has read, and what was in them: those are
 * watched.
 */
export class SourceReader {
  /** By path, a text that stands for the content. */
  readonly files: Map<string, string> = new Map();
  /** `watched_directory`: what happens there is a reason to read again, besides changes next to the files. */
  readonly directories: Set<string> = new Set();
  private readonly trial: Trial | undefined;

  constructor(trial?: Trial) {
    this.trial = trial;
  }

  /** @throws ConfigError at the field that cannot be read */
  read(source: DataSource): Buffer {
    const { specifier, watchedDirectory } = source;
    this.watch(watchedDirectory);
    const plain = watchedDirectory === undefined ? source : { ...source, watchedDirectory: undefined };
    if (specifier.case !== 'filename') return readDataSource(plain);
    return this.noted(specifier.value, () => readDataSource(plain));
  }

  /** @throws Error of the file system */
  readFile(path: string): Buffer {
    return this.noted(path, () => readFileSync(path));
  }

  watch(directory: WatchedDirectory | undefined): void {
    if (directory !== undefined && directory.path !== '') this.directories.add(directory.path);
  }

  /** The version of a secret that is to be read; undefined while none has come. */
  delivered(delivery: Delivery): Secret | undefined {
    return this.tries(delivery) ? this.trial?.secret : delivery.current;
  }

  /** Whether the reading is about a new version of this secret. */
  tries(delivery: Delivery): boolean {
    return this.trial?.delivery === delivery;
  }

  private noted(path: string, read: () => Buffer): Buffer {
    this.files.set(path, digestOfContent(undefined));
    const content = read();
    this.files.set(path, digestOfContent(content));
    return content;
  }
}

/** Where a source comes from, for `/certs`: a path, or `<inline>`. */
export function sourcePath(source: DataSource | undefined): string {
  return source?.specifier.case === 'filename' ? source.specifier.value : '<inline>';
}
