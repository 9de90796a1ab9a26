import type { DescMessage, Message } from '@dragoman/api';
import type { DynamicResources, ResourceReference, ResourceUser, ResourceWatch } from '@dragoman/core';
import { readResource, type ResourceOrder, resourceKey } from '../dynamic/resource-order.ts';

interface Entry {
  /** Known when somebody uses it. */
  type: DescMessage | undefined;
  readonly users: Set<ResourceUser>;
  /** In place. Undefined: none has come, or it was removed. */
  value: Uint8Array | undefined;
  /** {@link value}, once somebody has wanted it. */
  message: Message | undefined;
  pending: Pending | undefined;
}

/** A version that main has not decided about yet. */
interface Pending {
  readonly value: Uint8Array | undefined;
  readonly commits: Map<ResourceUser, () => void>;
}

/** The dynamic resources of one thread: what main has told it, and who uses it. */
export class ThreadResources implements DynamicResources {
  private readonly entries = new Map<string, Entry>();

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    const key = resourceKey(reference);
    const own = user as unknown as ResourceUser;
    const entry = this.entry(key);
    entry.type = reference.type;
    if (entry.value !== undefined) {
      entry.message ??= readResource(reference.type, entry.value);
      own.prepare(entry.message as never)();
    }
    const { pending } = entry;
    if (pending !== undefined)
      pending.commits.set(own, own.prepare(readResource(reference.type, pending.value) as never));
    entry.users.add(own);
    return {
      close: () => {
        entry.users.delete(own);
        entry.pending?.commits.delete(own);
        this.tidy(key, entry);
      },
    };
  }

  /** Has every user compile a version. @throws what one of them throws; nobody has it then */
  prepare({ key, value }: ResourceOrder): void {
    const entry = this.entry(key);
    const message = entry.type && readResource(entry.type, value);
    const commits = new Map<ResourceUser, () => void>();
    for (const user of entry.users) commits.set(user, user.prepare(message as never));
    entry.pending = { value, commits };
  }

  /** Puts in place what was prepared. */
  commit(key: string): void {
    const entry = this.entries.get(key);
    if (entry?.pending === undefined) return;
    const { value, commits } = entry.pending;
    entry.value = value;
    entry.message = undefined;
    entry.pending = undefined;
    for (const commit of commits.values()) commit();
    this.tidy(key, entry);
  }

  /** Another thread has refused it. */
  abort(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    entry.pending = undefined;
    this.tidy(key, entry);
  }

  /** Nobody wants it any more: who still watches keeps what it has. */
  forget(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    entry.value = undefined;
    entry.message = undefined;
    entry.pending = undefined;
    this.tidy(key, entry);
  }

  private entry(key: string): Entry {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { type: undefined, users: new Set(), value: undefined, message: undefined, pending: undefined };
      this.entries.set(key, entry);
    }
    return entry;
  }

  private tidy(key: string, { users, value, pending }: Entry): void {
    if (users.size === 0 && value === undefined && pending === undefined) this.entries.delete(key);
  }
}
