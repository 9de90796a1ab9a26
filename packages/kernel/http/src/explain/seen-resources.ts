import type {
  Cancellable,
  CollectionUser,
  DynamicResources,
  ResourceCollection,
  ResourceReference,
  ResourceUser,
  ResourceWatch,
} from '@dragoman/core';

type DescMessage = ResourceReference['type'];

const CLOSED: ResourceWatch = { close() {} };
const NO_COMMIT = () => undefined;

/** Dynamic resources as they are now, for somebody who compiles a config to look at it: nobody is registered, and nothing is asked for. */
export class SeenResources implements DynamicResources {
  private readonly resources: DynamicResources;
  /** Each tells whether what was seen is still there. */
  private readonly checks: (() => boolean)[] = [];

  constructor(resources: DynamicResources) {
    this.resources = resources;
  }

  /** Nothing that was seen has changed. */
  get upToDate(): boolean {
    return this.checks.every((holds) => holds());
  }

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    const look = (use: ResourceUser<D>['prepare']) => {
      let seen: unknown;
      const prepare: typeof use = (resource) => {
        seen = resource;
        return use(resource);
      };
      this.resources.watch(reference, { prepare }).close();
      return seen;
    };
    const first = look((resource) => user.prepare(resource));
    this.checks.push(() => look(() => NO_COMMIT) === first);
    return CLOSED;
  }

  watchAll<D extends DescMessage>(collection: ResourceCollection<D>, user: CollectionUser<D>): ResourceWatch {
    const look = (use: CollectionUser<D>['prepare']) => {
      let seen: ReadonlyMap<string, unknown> = new Map();
      const prepare: typeof use = (resources) => {
        seen = resources;
        return use(resources);
      };
      this.resources.watchAll(collection, { prepare }).close();
      return seen;
    };
    const first = look((resources) => user.prepare(resources));
    this.checks.push(() =>
      sameEntries(
        look(() => NO_COMMIT),
        first,
      ),
    );
    return CLOSED;
  }

  demand(): Cancellable {
    return { cancel() {} };
  }
}

function sameEntries(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a].every(([name, resource]) => b.get(name) === resource);
}
