import type { DynamicResources, ResourceReference, ResourceUser, ResourceWatch } from '@dragoman/core';

type DescMessage = ResourceReference['type'];

/** Dynamic resources that a test sets. */
export class FakeDynamicResources implements DynamicResources {
  private readonly known = new Map<string, unknown>();
  private readonly users = new Map<string, Set<ResourceUser>>();

  /** What was asked for, by now: `<type> <name>`. */
  get watched(): readonly string[] {
    return [...this.users].filter(([, users]) => users.size > 0).map(([key]) => key);
  }

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    const key = keyOf(reference.type, reference.name);
    const own = user as ResourceUser;
    if (this.known.has(key)) own.prepare(this.known.get(key) as never)();
    const users = this.users.get(key) ?? new Set();
    this.users.set(key, users.add(own));
    return { close: () => users.delete(own) };
  }

  /**
   * Gives every user a version of a resource; undefined: it was removed.
   * @throws what a user throws; none of them has it then
   */
  set(type: DescMessage, name: string, resource: unknown): void {
    const key = keyOf(type, name);
    const commits = [...(this.users.get(key) ?? [])].map((user) => user.prepare(resource as never));
    for (const commit of commits) commit();
    if (resource === undefined) this.known.delete(key);
    else this.known.set(key, resource);
  }
}

function keyOf(type: DescMessage, name: string): string {
  return `${type.typeName} ${name}`;
}
