import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Timer } from '@dragoman/core';
import { currentContent } from './source-reader.ts';

/** Events of one change come in a bunch, and a key is written after its certificate. */
const SETTLE_MS = 100;
/** While a folder cannot be watched (it is gone, or the system has no watches left), files are looked at this often. */
const RETRY_MS = 5000;

export interface WatchedFiles {
  /** By path, what stands for the content that was read. */
  readonly files: ReadonlyMap<string, string>;
  /** Further folders. */
  readonly directories: ReadonlySet<string>;
}

/**
 * Says when the content of files has changed. It watches the folders and not the files: editors and Kubernetes put new files, and links
 * to new folders, in the place of old ones. Keeps no process alive.
 */
export class FolderWatch {
  private readonly clock: Clock;
  private readonly onChange: () => void;
  private readonly timer: Timer;
  /** By folder; the identity of what is watched, which a folder of the same name that comes later does not have. */
  private readonly folders = new Map<string, { readonly watcher: FSWatcher; readonly id: string }>();
  private directories: ReadonlySet<string> = new Set();
  private readonly files = new Map<string, string>();
  private closed = false;

  /** @param onChange the files are to be read again; it may call {@link follow} */
  constructor(clock: Clock, onChange: () => void) {
    this.clock = clock;
    this.onChange = onChange;
    this.timer = this.clock.timer(() => this.look());
  }

  /** Files that were read, and are watched from now on in place of others. */
  follow({ files, directories }: WatchedFiles): void {
    if (this.closed) return;
    this.directories = directories;
    this.files.clear();
    for (const [path, content] of files) this.files.set(path, content);
    this.arm();
    // What has changed since it was read, and before the watch began, nobody tells.
    if (files.size > 0) this.timer.enable(SETTLE_MS);
  }

  /** Files that were read besides, of a set that was no good. */
  include({ files, directories }: WatchedFiles): void {
    const all = new Map([...this.files, ...files]);
    this.follow({ files: all, directories: new Set([...this.directories, ...directories]) });
  }

  close(): void {
    this.closed = true;
    this.timer.disable();
    for (const { watcher } of this.folders.values()) watcher.close();
    this.folders.clear();
  }

  private look(): void {
    if (this.closed) return;
    this.arm();
    let changed = false;
    for (const [path, known] of this.files) {
      const content = currentContent(path);
      if (content === known) continue;
      changed = true;
      // Not again for the same content, also when it was no good.
      this.files.set(path, content);
    }
    if (changed) this.onChange();
  }

  /** Watches the folders that there are now, and no other. */
  private arm(): void {
    const wanted = foldersOf(this.files.keys(), this.directories);
    for (const [folder, { watcher, id }] of this.folders) {
      if (wanted.has(folder) && identity(folder) === id) continue;
      watcher.close();
      this.folders.delete(folder);
    }
    let missing = false;
    for (const folder of wanted) if (!this.folders.has(folder) && !this.open(folder)) missing = true;
    if (missing && !this.timer.enabled) this.timer.enable(RETRY_MS);
  }

  private open(folder: string): boolean {
    const id = identity(folder);
    if (id === undefined) return false;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.timer.enable(SETTLE_MS));
      watcher.on('error', () => this.timer.enable(SETTLE_MS));
      this.folders.set(folder, { watcher, id });
      return true;
    } catch {
      return false;
    }
  }
}

function identity(folder: string): string | undefined {
  const stat = statSync(folder, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** Those of the files, and those of what the files are links to. */
function foldersOf(files: Iterable<string>, directories: ReadonlySet<string>): Set<string> {
  const folders = new Set(directories);
  for (const file of files) {
    folders.add(dirname(file));
    try {
      folders.add(dirname(realpathSync(file)));
    } catch {
      // It is not there, or its link leads nowhere: its own folder tells of it when it is back.
    }
  }
  return folders;
}
