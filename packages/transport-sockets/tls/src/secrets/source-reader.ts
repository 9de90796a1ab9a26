import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type DataSource, readDataSource, type WatchedDirectory } from '@dragoman/api';

/** Reads the data sources of a config, and notes which files it has read, and what was in them: those are watched. */
export class SourceReader {
  /** By path, a text that stands for the content. */
  readonly files: Map<string, string> = new Map();
  /** `watched_directory`: what happens there is a reason to read again, besides changes next to the files. */
  readonly directories: Set<string> = new Set();

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

  private noted(path: string, read: () => Buffer): Buffer {
    this.files.set(path, MISSING);
    const content = read();
    this.files.set(path, digest(content));
    return content;
  }
}

const MISSING = '-';
const digest = (content: Buffer): string => createHash('sha256').update(content).digest('base64');

/** What stands for the content of a file now. */
export function currentContent(path: string): string {
  try {
    return digest(readFileSync(path));
  } catch {
    return MISSING;
  }
}

/** Where a source comes from, for `/certs`: a path, or `<inline>`. */
export function sourcePath(source: DataSource | undefined): string {
  return source?.specifier.case === 'filename' ? source.specifier.value : '<inline>';
}
