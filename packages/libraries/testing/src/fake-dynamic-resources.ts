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

interface WatchedCollection {
  readonly collection: ResourceCollection;
  readonly user: CollectionUser;
}

interface Demand {
  readonly key: string;
  readonly onAnswer: (found: boolean) => void;
}

/** Dynamic resources that a test sets. */
export class FakeDynamicResources implements DynamicResources {
  private readonly known = new Map<string, { readonly type: DescMessage; readonly resource: unknown }>();
  private readonly users = new Map<string, Set<ResourceUser>>();
  private readonly collections = new Set<WatchedCollection>();
  private readonly demands = new Set<Demand>();

  /** What was asked for, by now: `<type> <name>`; of collections `<type> <namespace>/*`, `<type> <locator>` or `<type> *`. */
  get watched(): readonly string[] {
    return [
      ...[...this.users].filter(([, users]) => users.size > 0).map(([key]) => key),
      ...[...this.collections].map(({ collection }) => collectionKey(collection)),
    ];
  }

  /** What is demanded and was not answered: `<type> <name>`. */
  get demanded(): readonly string[] {
    return [...this.demands].map(({ key }) => key);
  }

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    const key = keyOf(reference.type, reference.name);
    const own = user as ResourceUser;
    const known = this.known.get(key);
    if (known !== undefined) own.prepare(known.resource as never)();
    const users = this.users.get(key) ?? new Set();
    this.users.set(key, users.add(own));
    return { close: () => users.delete(own) };
  }

  watchAll<D extends DescMessage>(collection: ResourceCollection<D>, user: CollectionUser<D>): ResourceWatch {
    const watched = { collection, user: user as unknown as CollectionUser };
    const members = this.membersOf(collection);
    if (members.size > 0) watched.user.prepare(members as never)();
    this.collections.add(watched);
    return { close: () => this.collections.delete(watched) };
  }

  demand<D extends DescMessage>(
    reference: ResourceReference<D>,
    onAnswer: (found: boolean) => void,
  ): Cancellable {
    const demand = { key: keyOf(reference.type, reference.name), onAnswer };
    this.demands.add(demand);
    return { cancel: () => this.demands.delete(demand) };
  }

  /** Answers everybody who demands a resource: give it with {@link set} first when it is found. */
  answer(type: DescMessage, name: string, found: boolean): void {
    const key = keyOf(type, name);
    for (const demand of [...this.demands].filter((each) => each.key === key)) {
      this.demands.delete(demand);
      demand.onAnswer(found);
    }
  }

  /**
   * Gives every user a version of a resource, those of collections too; undefined: it was removed.
   * @throws what a user throws; none of them has it then
   */
  set(type: DescMessage, name: string, resource: unknown): void {
    const commits = this.prepare(type, name, resource);
    for (const commit of commits) commit();
  }

  /**
   * As {@link set}, while somebody elsewhere refuses it: it is prepared and never put in place.
   * @throws what a user throws
   */
  refuse(type: DescMessage, name: string, resource: unknown): void {
    const before = this.known.get(keyOf(type, name));
    this.prepare(type, name, resource);
    this.remember(type, name, before?.resource);
  }

  private prepare(type: DescMessage, name: string, resource: unknown): readonly (() => void)[] {
    const before = this.known.get(keyOf(type, name));
    this.remember(type, name, resource);
    try {
      const users = [...(this.users.get(keyOf(type, name)) ?? [])];
      const collections = [...this.collections].filter(({ collection }) => holds(collection, type, name));
      return [
        ...users.map((user) => user.prepare(resource as never)),
        ...collections.map(({ collection, user }) => user.prepare(this.membersOf(collection) as never)),
      ];
    } catch (error) {
      this.remember(type, name, before?.resource);
      throw error;
    }
  }

  private remember(type: DescMessage, name: string, resource: unknown): void {
    if (resource === undefined) this.known.delete(keyOf(type, name));
    else this.known.set(keyOf(type, name), { type, resource });
  }

  private membersOf(collection: ResourceCollection): ReadonlyMap<string, unknown> {
    const members = new Map<string, unknown>();
    for (const [key, { type, resource }] of this.known) {
      const name = key.slice(type.typeName.length + 1);
      if (holds(collection, type, name)) members.set(name, resource);
    }
    return members;
  }
}

function holds({ type, namespace }: ResourceCollection, of: DescMessage, name: string): boolean {
  return type.typeName === of.typeName && (namespace === undefined || name.startsWith(`${namespace}/`));
}

function keyOf(type: DescMessage, name: string): string {
  return `${type.typeName} ${name}`;
}

function collectionKey({ type, namespace, locator }: ResourceCollection): string {
  if (namespace !== undefined) return keyOf(type, `${namespace}/*`);
  return keyOf(type, locator === undefined || locator === '' ? '*' : locator);
}
