import type { ConfigProblem, ConfigUpdate, DiscoveredResource } from '@dragoman/core';
import { groupsOf } from '@dragoman/xds-sources';
import type { ReadUpdate } from './incoming-update.ts';
import type { KnownResources } from './known-resources.ts';
import type { Watch } from './watch.ts';
import type { WatchMap } from './watch-map.ts';

/** What one subscriber gets of an update. */
export interface Share {
  /** Undefined: nothing but news of what is bad. */
  readonly update: ConfigUpdate | undefined;
  readonly bad: readonly ConfigProblem[];
}

export interface Scope {
  readonly watches: WatchMap;
  readonly known: KnownResources;
  readonly version: string;
  readonly stateOfTheWorld: boolean;
  /** Responses hold everything that was asked for, also for those who ask by name. */
  readonly whole: boolean;
}

/** Cuts an update into what each subscriber is to have; those whom it does not concern have no share. */
export function distribute(update: ReadUpdate, scope: Scope): Map<Watch, Share> {
  const changed = new Map<Watch, DiscoveredResource[]>();
  const removed = new Map<Watch, string[]>();
  const bad = new Map<Watch, ConfigProblem[]>();
  const { watches, known } = scope;
  for (const [name, { resource }] of update.good)
    for (const watch of watches.interestedIn(name, resource.aliases ?? []))
      push(changed, watch, spelled(watch, resource));
  for (const name of update.removed)
    for (const watch of watches.interestedIn(name, known.get(name)?.aliases ?? []))
      push(removed, watch, watch.spell(name));
  for (const [name, { problems }] of update.bad)
    for (const watch of watches.interestedIn(name, known.get(name)?.aliases ?? []))
      for (const problem of problems) push(bad, watch, problem);
  if (update.nameless.length > 0)
    for (const watch of watches) for (const problem of update.nameless) push(bad, watch, problem);

  const shares = new Map<Watch, Share>();
  let full: FullShares | undefined;
  // Of thousands who have named one resource each, most have no share in an update.
  const concerned =
    update.empty || (scope.stateOfTheWorld && scope.whole)
      ? watches
      : new Set([...watches.wildcards, ...changed.keys(), ...removed.keys(), ...bad.keys()]);
  for (const watch of concerned) {
    const problems = bad.get(watch) ?? [];
    const forWatch =
      scope.stateOfTheWorld && (scope.whole || watch.wildcard)
        ? (full ??= new FullShares(update, scope)).of(watch, changed.get(watch) ?? [], problems.length > 0)
        : partial(
            update,
            scope,
            watch,
            changed.get(watch) ?? [],
            removed.get(watch) ?? [],
            problems.length > 0,
          );
    if (forWatch !== undefined || problems.length > 0) shares.set(watch, { update: forWatch, bad: problems });
  }
  return shares;
}

function partial(
  update: ReadUpdate,
  { version }: Scope,
  watch: Watch,
  changed: readonly DiscoveredResource[],
  removed: readonly string[],
  hasBad: boolean,
): ConfigUpdate | undefined {
  const nothing = changed.length === 0 && removed.length === 0;
  // That there is nothing is news to those who want everything, of all or below a name.
  if (nothing && (hasBad || !update.empty || !(watch.wildcard || watch.awaitsOpenNames))) return undefined;
  return { changed, removed, versionInfo: version, full: false };
}

/** Updates that say all there is. What was sent and is bad, or only said to live on, stands in them as it was. */
class FullShares {
  private readonly update: ReadUpdate;
  private readonly version: string;
  /** Old versions that go on. */
  private readonly kept: readonly DiscoveredResource[];
  /** What is in use and no longer there. */
  private readonly gone: readonly DiscoveredResource[];

  constructor(update: ReadUpdate, { known, version }: Scope) {
    this.update = update;
    this.version = version;
    const { good, bad, nameless, heartbeats } = update;
    const kept: DiscoveredResource[] = [];
    const gone: DiscoveredResource[] = [];
    for (const { name, resource } of known) {
      if (resource === undefined || good.has(name)) continue;
      const goesOn = nameless.length > 0 || bad.has(name) || heartbeats.has(name);
      (goesOn ? kept : gone).push(resource);
    }
    this.kept = kept;
    this.gone = gone;
  }

  of(watch: Watch, good: readonly DiscoveredResource[], hasBad: boolean): ConfigUpdate | undefined {
    if (this.update.onlyHeartbeats) return undefined;
    const nothingNew = good.length === 0 && !this.gone.some((one) => concerns(watch, one));
    if (nothingNew && (hasBad || this.update.bad.size + this.update.nameless.length > 0)) return undefined;
    const kept = this.kept
      .filter((resource) => concerns(watch, resource))
      .map((resource) => spelled(watch, resource));
    const changed = kept.length === 0 ? good : [...good, ...kept];
    // One who asked by name and never had anything may have asked later than the server answered.
    const awaited = watch.wildcard || watch.holding || (this.update.empty && watch.awaitsOpenNames);
    if (changed.length === 0 && !awaited) return undefined;
    watch.holding = changed.length > 0;
    return { changed, removed: [], versionInfo: this.version, full: true };
  }
}

function concerns(watch: Watch, { name, aliases }: DiscoveredResource): boolean {
  return watch.wants(name) || (aliases ?? []).some((alias) => watch.wants(alias));
}

/**
 * What is known already, for one who asks for it later than others: the server has no reason to send it again.
 * @param added names that it asks for now; undefined: all that it wants
 * @param answered the server has answered before: that nothing is known means that there is nothing
 */
export function knownShare(
  watch: Watch,
  added: ReadonlySet<string> | undefined,
  answered: boolean,
  { known, version, stateOfTheWorld, whole }: Scope,
): ConfigUpdate | undefined {
  const full = stateOfTheWorld && (whole || watch.wildcard);
  const changed: DiscoveredResource[] = [];
  const isNewName = (name: string) => added === undefined || added.has(name);
  let news =
    (added === undefined && watch.wildcard && answered) ||
    watch.openNames.some((name) => isNewName(name) && known.isAbsent(name));
  for (const resource of candidates(watch, known, full)) {
    if (resource === undefined || !concerns(watch, resource)) continue;
    const isNew = namesOf(resource).some(isNewName);
    news ||= isNew;
    if (isNew || full) changed.push(spelled(watch, resource));
  }
  if (!news) return undefined;
  watch.holding = changed.length > 0;
  return { changed, removed: [], versionInfo: version, full };
}

/** What may concern a subscriber: one of thousands who have named one resource each does not look at all of them. */
function candidates(
  watch: Watch,
  known: KnownResources,
  full: boolean,
): Iterable<DiscoveredResource | undefined> {
  const exact = !full && !watch.wildcard && !known.hasAliases && watch.openNames.length === 0;
  if (exact) return Array.from(watch.names, (name) => known.get(name));
  return Array.from(known, ({ resource }) => resource);
}

/** All by which it may have been asked for. */
function namesOf({ name, aliases }: DiscoveredResource): string[] {
  return [name, ...(aliases ?? []), ...groupsOf(name)];
}

function spelled(watch: Watch, resource: DiscoveredResource): DiscoveredResource {
  const name = watch.spell(resource.name);
  return name === resource.name ? resource : { ...resource, name };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
