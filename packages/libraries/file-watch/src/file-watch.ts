import { readlinkSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Clock } from '@dragoman/core';
import { stampOf } from './fingerprint.ts';
import { FolderWatch } from './folder-watch.ts';

/** Links that lead to links, at most; the kernel's own limit. */
const MAX_LINKS = 40;

export interface FileWatchOptions {
  readonly clock: Clock;
  /** Files are to be read again. It may call {@link FileWatch.follow}; it must not throw. */
  onChange(): void;
  /** What stands for a file as it is. Default {@link stampOf}; with `digestOf` a file that is written again with the same content has not changed. */
  readonly fingerprint?: ((path: string) => string) | undefined;
  /** How long a folder must be quiet before its files are looked at, ms; default 100. */
  readonly settleMs?: number | undefined;
}

export interface WatchedFiles {
  /** By path, the fingerprint that the file had before it was read. */
  readonly files: ReadonlyMap<string, string>;
  /** Further folders: what happens in them is a reason to look at the files. Default: none. */
  readonly directories?: Iterable<string> | undefined;
}

/**
 * Says when files have changed. It watches the folders of the files, and of the links that lead to them: editors put new files in the place of
 * old ones, and Kubernetes new links.
 */
export class FileWatch {
  private readonly fingerprint: (path: string) => string;
  private readonly onChange: () => void;
  private readonly folders: FolderWatch;
  private readonly files = new Map<string, string>();
  private directories: ReadonlySet<string> = new Set();

  constructor({ clock, onChange, fingerprint = stampOf, settleMs }: FileWatchOptions) {
    this.fingerprint = fingerprint;
    this.onChange = onChange;
    this.folders = new FolderWatch({ clock, settleMs, onChange: () => this.look() });
  }

  /** Files that were read, and are watched from now on in place of others. */
  follow({ files, directories = [] }: WatchedFiles): void {
    this.directories = new Set(directories);
    this.files.clear();
    for (const [path, known] of files) this.files.set(path, known);
    this.folders.follow(this.wanted());
    // What has changed since it was read, and before the watch began, nobody tells.
    if (files.size > 0) this.folders.touch();
  }

  /** Files that were read besides. */
  include({ files, directories = [] }: WatchedFiles): void {
    this.follow({
      files: new Map([...this.files, ...files]),
      directories: [...this.directories, ...directories],
    });
  }

  close(): void {
    this.folders.close();
  }

  private look(): void {
    this.folders.follow(this.wanted());
    let changed = false;
    for (const [path, known] of this.files) {
      const now = this.fingerprint(path);
      if (now === known) continue;
      changed = true;
      // Not again for the same content, also when it was no good.
      this.files.set(path, now);
    }
    if (changed) this.onChange();
  }

  private wanted(): Set<string> {
    const folders = new Set(this.directories);
    for (const file of this.files.keys()) for (const folder of foldersOf(file)) folders.add(folder);
    return folders;
  }
}

/** The folder of a file; when it is a link, also those of the links on the way, and of what is at their end. */
function foldersOf(file: string): string[] {
  const folders: string[] = [];
  let path = resolve(file);
  for (let links = 0; links < MAX_LINKS; links++) {
    folders.push(dirname(path));
    try {
      path = resolve(dirname(path), readlinkSync(path));
    } catch {
      break;
    }
  }
  try {
    folders.push(dirname(realpathSync(file)));
  } catch {
    // It is not there, or its link leads nowhere: the folders above tell of it when it is back.
  }
  return folders;
}
