import { realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import type { RuntimeLayer_DiskLayer as DiskLayerConfig } from '@dragoman/api';
import { type Clock, ConfigError } from '@dragoman/core';
import { FolderWatch } from '@dragoman/file-watch';
import { NO_VALUES, type RuntimeLayer } from './layer.ts';
import { readTree } from './read-tree.ts';

/** Folders of a tree that are watched; those beyond are read when another one changes, or the link is turned. */
const MAX_WATCHED = 1000;

/** A layer of files below `symlink_root`. */
export class DiskLayer implements RuntimeLayer {
  readonly name: string;
  readonly kind = 'disk';
  /** Undefined: it would be that of a service cluster, and this proxy is in none. */
  readonly path: string | undefined;
  values: ReadonlyMap<string, string> = NO_VALUES;
  active = false;
  /** Why it could not be read the last time; undefined: it could, or is not there. */
  error: string | undefined = undefined;
  /** Those of the tree, as far as it could be read. */
  private folders: ReadonlySet<string> = new Set();
  private followed: ReadonlySet<string> = new Set();
  private identity: string | undefined = undefined;
  private readonly outermost: string;
  private watch: FolderWatch | undefined = undefined;

  /**
   * Reads it.
   * @param serviceCluster empty: none
   * @throws ConfigError with paths below the DiskLayer
   */
  constructor(name: string, config: DiskLayerConfig, serviceCluster: string) {
    const { symlinkRoot, subdirectory, appendServiceCluster } = config;
    if (symlinkRoot === '') throw ConfigError.at('symlink_root', 'is required');
    refuseUpwards('subdirectory', subdirectory);
    if (appendServiceCluster) refuseUpwards('append_service_cluster', serviceCluster);
    const root = resolve(symlinkRoot);
    this.name = name;
    this.outermost = dirname(root);
    if (!appendServiceCluster) this.path = join(root, subdirectory);
    else if (serviceCluster !== '') this.path = join(root, subdirectory, serviceCluster);
    this.read();
  }

  /** Reads the tree again whenever it, or the way to it, has changed, and calls `onChange`. */
  start(clock: Clock, onChange: () => void, settleMs?: number): void {
    const { path } = this;
    if (path === undefined || this.watch !== undefined) return;
    this.watch = new FolderWatch({
      clock,
      settleMs,
      onChange: (changed) => {
        const outside = changed.size > 0 && [...changed].every((folder) => !this.folders.has(folder));
        // Something else in the folder of the link.
        if (outside && identityOf(path) === this.identity) return;
        const news = this.read();
        this.follow();
        if (news || changed.size > 0) onChange();
      },
    });
    this.follow();
    // It was read before it was watched.
    this.watch.touch();
  }

  stop(): void {
    this.watch?.close();
  }

  /** True when it is not as it was. What cannot be read leaves the values as they are. */
  private read(): boolean {
    const { path, values, active, error } = this;
    this.error = undefined;
    this.identity = path === undefined ? undefined : identityOf(path);
    if (path === undefined || this.identity === undefined) {
      this.values = NO_VALUES;
      this.active = false;
      this.folders = new Set();
    } else {
      const folders = new Set([path]);
      this.folders = folders;
      try {
        this.values = readTree(path, folders);
        this.active = true;
      } catch (failure) {
        this.error = failure instanceof Error ? failure.message : String(failure);
      }
    }
    return active !== this.active || error !== this.error || !same(values, this.values);
  }

  private follow(): void {
    const { watch, path, folders } = this;
    if (watch === undefined || path === undefined) return;
    const wanted = new Set([...this.ways(path), ...[...folders].slice(0, MAX_WATCHED)]);
    const unseen = [...wanted].some((folder) => !this.followed.has(folder));
    this.followed = wanted;
    watch.follow(wanted);
    // What has changed in a folder since it was read, and before it was watched, nobody tells.
    if (unseen) watch.touch();
  }

  /** The folders that lead to the tree, from that of the link on, and the nearest that there is when they are not there. */
  private ways(path: string): string[] {
    const { outermost } = this;
    const within = outermost.endsWith(sep) ? outermost : outermost + sep;
    const ways: string[] = [];
    for (let folder = path; ; folder = dirname(folder)) {
      if (isFolder(folder)) ways.push(folder);
      const beyond = !folder.startsWith(within);
      if ((beyond && ways.length > 0) || folder === dirname(folder)) return ways;
    }
  }
}

function refuseUpwards(field: string, path: string): void {
  if (path.split('/').includes('..'))
    throw ConfigError.at(field, `"${path}" leads out of symlink_root: it may not hold ".."`);
}

/** Of a folder behind links; undefined when there is none. */
function identityOf(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    const { dev, ino } = statSync(real, { bigint: true });
    return isFolder(real) ? `${real} ${dev}:${ino}` : undefined;
  } catch {
    return undefined;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function same(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  if (one.size !== other.size) return false;
  for (const [key, value] of one) if (other.get(key) !== value) return false;
  return true;
}
