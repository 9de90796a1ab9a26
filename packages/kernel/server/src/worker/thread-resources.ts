import { ConfigSourceSchema, type DescMessage, fromBinary, type Message, toBinary } from '@dragoman/api';
import type {
  Cancellable,
  CollectionUser,
  DynamicResources,
  ResourceCollection,
  ResourceReference,
  ResourceUser,
  ResourceWatch,
} from '@dragoman/core';
import {
  type CollectionOrder,
  collectionKey,
  type ResourceOrder,
  readResource,
  resourceKey,
} from '../dynamic/resource-order.ts';
import type { WorkerQuestions } from './questions.ts';

type AnyUser = ResourceUser | CollectionUser;

/** One resource of a collection: read when somebody wants it. */
interface Member {
  readonly value: Uint8Array;
  message: Message | undefined;
}

/** What is known of a resource, or of a collection. */
interface Version {
  readonly single: Uint8Array | undefined;
  readonly members: ReadonlyMap<string, Member> | undefined;
  message: Message | undefined;
}

interface Entry {
  readonly users: Set<AnyUser>;
  /** Known when somebody uses it. */
  type: DescMessage | undefined;
  /** In place; undefined: nothing has come. */
  current: Version | undefined;
  /** Compiled, and not decided about by main. */
  pending: { readonly version: Version; readonly commits: Map<AnyUser, () => void> } | undefined;
}

/** The dynamic resources of one thread: what main has told it, and who uses it. */
export class ThreadResources implements DynamicResources {
  private readonly entries = new Map<string, Entry>();
  /** Who waits for main's answer about a resource, by key. */
  private readonly demands = new Map<string, Set<(found: boolean) => void>>();
  private readonly questions: Pick<WorkerQuestions, 'resource'>;

  constructor(questions: Pick<WorkerQuestions, 'resource'>) {
    this.questions = questions;
  }

  watch<D extends DescMessage>(reference: ResourceReference<D>, user: ResourceUser<D>): ResourceWatch {
    return this.register(resourceKey(reference), reference.type, user as unknown as AnyUser);
  }

  watchAll<D extends DescMessage>(collection: ResourceCollection<D>, user: CollectionUser<D>): ResourceWatch {
    return this.register(collectionKey(collection), collection.type, user as unknown as AnyUser);
  }

  demand<D extends DescMessage>(
    reference: ResourceReference<D>,
    onAnswer: (found: boolean) => void,
  ): Cancellable {
    const key = resourceKey(reference);
    const callback = (found: boolean): void => onAnswer(found);
    let waiting = this.demands.get(key);
    if (waiting === undefined) {
      waiting = new Set();
      this.demands.set(key, waiting);
      void this.ask(reference, key, waiting);
    }
    const callbacks = waiting.add(callback);
    return { cancel: () => void callbacks.delete(callback) };
  }

  /** Once for all who ask meanwhile: an answer may never come. */
  private async ask(
    { type, source, name }: ResourceReference,
    key: string,
    waiting: ReadonlySet<(found: boolean) => void>,
  ): Promise<void> {
    const found = await this.questions.resource({
      type: type.typeName,
      source: toBinary(ConfigSourceSchema, source as never),
      name,
    });
    this.demands.delete(key);
    for (const callback of waiting) callback(found);
  }

  /** Has every user compile a version that is not to be put in place. No other one may be prepared meanwhile. @throws what one of them throws */
  check(order: ResourceOrder): void {
    const entry = this.entries.get(order.key);
    if (entry === undefined) return;
    const version = versionOf(entry, order);
    for (const user of [...entry.users]) compile(user, entry.type as DescMessage, version);
  }

  /** Has every user compile a version. @throws what one of them throws; nobody has it then */
  prepare(order: ResourceOrder): void {
    const entry = this.entry(order.key);
    const version = versionOf(entry, order);
    const commits = new Map<AnyUser, () => void>();
    // They may register others meanwhile.
    for (const user of [...entry.users])
      if (entry.users.has(user)) commits.set(user, compile(user, entry.type as DescMessage, version));
    entry.pending = { version, commits };
  }

  /** Puts in place what was prepared. */
  commit(key: string): void {
    const entry = this.entries.get(key);
    if (entry?.pending === undefined) return;
    const { version, commits } = entry.pending;
    entry.current = version.single === undefined && version.members === undefined ? undefined : version;
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
    entry.current = undefined;
    entry.pending = undefined;
    this.tidy(key, entry);
  }

  private register(key: string, type: DescMessage, user: AnyUser): ResourceWatch {
    const entry = this.entry(key);
    entry.type = type;
    try {
      if (entry.current !== undefined) compile(user, type, entry.current)();
      const { pending } = entry;
      if (pending !== undefined) pending.commits.set(user, compile(user, type, pending.version));
    } catch (error) {
      this.tidy(key, entry);
      throw error;
    }
    entry.users.add(user);
    return {
      close: () => {
        entry.users.delete(user);
        entry.pending?.commits.delete(user);
        this.tidy(key, entry);
      },
    };
  }

  private entry(key: string): Entry {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { users: new Set(), type: undefined, current: undefined, pending: undefined };
      this.entries.set(key, entry);
    }
    return entry;
  }

  private tidy(key: string, entry: Entry): void {
    const { users, current, pending } = entry;
    if (users.size > 0 || current !== undefined || pending !== undefined) return;
    if (this.entries.get(key) === entry) this.entries.delete(key);
  }
}

function versionOf({ current }: Entry, order: ResourceOrder): Version {
  return 'value' in order ? single(order.value) : nextMembers(current, order);
}

function single(value: Uint8Array | undefined): Version {
  return { single: value, members: undefined, message: undefined };
}

/** Those that have not changed stay the same. */
function nextMembers(before: Version | undefined, { changed, removed }: CollectionOrder): Version {
  const members = new Map(before?.members);
  for (const name of removed) members.delete(name);
  for (const [name, value] of changed) members.set(name, { value, message: undefined });
  return { single: undefined, members, message: undefined };
}

/** @throws ConfigError of the user */
function compile(user: AnyUser, type: DescMessage, version: Version): () => void {
  const { members } = version;
  if (members === undefined) {
    version.message ??= readResource(type, version.single);
    return (user as ResourceUser).prepare(version.message as never);
  }
  const messages = new Map<string, Message>();
  for (const [name, member] of members) {
    member.message ??= fromBinary(type, member.value);
    messages.set(name, member.message);
  }
  return (user as CollectionUser).prepare(messages as never);
}
