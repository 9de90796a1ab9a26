import {
  type DescMessage,
  type Message,
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  toBinary,
} from '@dragoman/api';
import { ConfigError, type ConfigProblem, type ConfigUpdate, type ResourceReference } from '@dragoman/core';
import { HeldBase } from './held-base.ts';
import type { FoundCollection } from './references.ts';
import type { Hold, KnownResource } from './resource-book.ts';
import { sourceKey } from './resource-order.ts';
import { Waiters } from './waiters.ts';

/** Names come from whoever sends requests. */
const MAX_DEMANDED = 10_000;

interface Member extends KnownResource {
  readonly message: Message;
  readonly names: readonly string[];
  readonly nested: Hold;
}

/** All resources of a type, or those of a namespace. */
export class HeldCollection extends HeldBase<FoundCollection> {
  /** Of the last update that was taken over whole. */
  version = '';
  /** Wall time in ms; undefined: none was. */
  updatedAt: number | undefined = undefined;
  private members: ReadonlyMap<string, Member> = new Map();
  /** Those of {@link members}, and their aliases. */
  private names: ReadonlySet<string> = new Set();
  /** Those of the update that is on its way. */
  private incoming: ReadonlyMap<string, Member> = new Map();
  /** Asked for by requests, besides what the server gives by itself. */
  private readonly demanded = new Set<string>();
  private readonly waiters = new Waiters();
  /** Names that the server does not have. */
  private readonly absent = new Set<string>();

  get resources(): readonly KnownResource[] {
    return [...this.members.values()];
  }

  override stop(): void {
    super.stop();
    for (const { nested } of [...this.members.values(), ...this.incoming.values()]) nested.release();
    this.members = new Map();
    this.names = new Set();
    for (const name of this.waiters.names) this.waiters.answer(name, false);
  }

  /** It is, or could be, one of these. */
  has({ type, source, name }: ResourceReference): boolean {
    const { namespace } = this.reference;
    return (
      namespace !== undefined &&
      type.typeName === this.reference.type.typeName &&
      name.startsWith(`${namespace}/`) &&
      sourceKey(type, source) === sourceKey(this.reference.type, this.reference.source)
    );
  }

  covers(type: DescMessage, name: string): boolean {
    const { namespace, type: own } = this.reference;
    return type.typeName === own.typeName && (namespace === undefined || name.startsWith(`${namespace}/`));
  }

  async check(name: string, message: Message): Promise<void> {
    const changed = new Map([[name, toBinary(this.reference.type, message)]]);
    try {
      await this.checkOrder({ key: this.key, changed, removed: [] });
    } catch (error) {
      throw error instanceof ConfigError ? withoutName(error, name) : error;
    }
  }

  /** Fulfilled with whether it is in place. Never rejects. */
  async demand(name: string): Promise<boolean> {
    if (this.names.has(name)) return true;
    if (this.absent.has(name) || this.stopped) return false;
    if (!this.demanded.has(name)) {
      if (this.demanded.size >= MAX_DEMANDED) this.forgetAbsent();
      if (this.demanded.size >= MAX_DEMANDED) return false;
      this.demanded.add(name);
      if (!this.ask()) {
        this.demanded.delete(name);
        return false;
      }
    }
    return this.waiters.wait(name);
  }

  /** @returns whether the server could be asked: a request may name what nobody has */
  private ask(): boolean {
    try {
      this.subscription?.setNames([this.reference.namespace as string, ...this.demanded]);
      return true;
    } catch (error) {
      this.options.logger.debug(`${this.key}: cannot be asked for on demand: ${(error as Error).message}`);
      return false;
    }
  }

  /** Of names that somebody may ask for again, only so many are kept: those that the server does not have make room for others. */
  private forgetAbsent(): void {
    for (const name of this.absent) this.demanded.delete(name);
    this.absent.clear();
  }

  protected async onUpdate(update: ConfigUpdate): Promise<void> {
    try {
      await this.put(update);
    } finally {
      this.arrived();
      this.answerAll(update);
    }
  }

  private async put({ changed, removed, versionInfo, full }: ConfigUpdate): Promise<void> {
    const { wallTime } = this.options;
    const { type } = this.reference;
    const there = new Set(changed.map(({ name }) => name));
    const gone = full ? [...this.members.keys()].filter((name) => !there.has(name)) : removed;
    const fresh = new Map<string, Member>();
    const bytes = new Map<string, Uint8Array>();
    let refused: readonly ConfigProblem[];
    this.incoming = fresh;
    try {
      for (const { name, aliases = [], version, message } of changed) {
        const nested = this.book.holdAll(this.reference.membersNames(message));
        fresh.set(name, {
          type,
          name,
          names: [name, ...aliases],
          message,
          version: version || versionInfo,
          updatedAt: wallTime(),
          failure: undefined,
          nested,
        });
        bytes.set(name, toBinary(type, message));
      }
      await this.whenReady(Array.from(fresh.values(), ({ nested }) => nested));
      refused = await this.distributeGood(fresh, bytes, gone);
    } catch (error) {
      for (const { nested } of fresh.values()) nested.release();
      this.noteFailure(changed, versionInfo, error as Error);
      throw error;
    }
    this.keep(fresh, gone, refused.length === 0 ? versionInfo : this.version);
    if (refused.length === 0) return;
    const error = new ConfigError(refused);
    this.noteFailure(changed, versionInfo, error);
    throw error;
  }

  /**
   * What nobody refuses, all of it at once. Resources that are refused by name are taken out, here and in both maps.
   * @returns what was wrong with those. Rejects when it cannot be told which they are: nothing has changed then
   */
  private async distributeGood(
    fresh: Map<string, Member>,
    bytes: Map<string, Uint8Array>,
    removed: readonly string[],
  ): Promise<readonly ConfigProblem[]> {
    const refused: ConfigProblem[] = [];
    for (let round = 1; ; round++) {
      try {
        await this.distribute({ key: this.key, changed: bytes, removed });
        return refused;
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused.push(...error.problems);
        const names = error.problems.map(({ path }) => nameIn(path, bytes));
        if (names.includes(undefined)) throw new ConfigError(refused);
        if (round === MAX_ROUNDS) throw new ConfigError([...refused, TOO_MUCH]);
        for (const name of names as readonly string[]) {
          fresh.get(name)?.nested.release();
          fresh.delete(name);
          bytes.delete(name);
        }
        if (bytes.size + removed.length === 0) return refused;
      }
    }
  }

  private noteFailure(
    changed: ConfigUpdate['changed'],
    versionInfo: string,
    { message: details }: Error,
  ): void {
    const culprit = changed.find(({ name }) => details.startsWith(`${name}: `));
    this.failure = {
      message: culprit?.message,
      version: culprit?.version || versionInfo,
      details,
      at: this.options.wallTime(),
    };
  }

  private keep(fresh: ReadonlyMap<string, Member>, gone: readonly string[], versionInfo: string): void {
    if (this.stopped) {
      for (const { nested } of fresh.values()) nested.release();
      return;
    }
    const members = new Map(this.members);
    for (const name of [...gone, ...fresh.keys()]) {
      members.get(name)?.nested.release();
      members.delete(name);
    }
    for (const [name, member] of fresh) members.set(name, member);
    this.members = members;
    this.names = new Set([...members.values()].flatMap((member) => member.names));
    this.showScopes();
    this.version = versionInfo;
    this.updatedAt = this.options.wallTime();
    this.failure = undefined;
  }

  private showScopes(): void {
    const { scope } = this;
    if (this.reference.type.typeName !== ScopedRouteConfigurationSchema.typeName) return;
    const scopes = Array.from(this.members.values(), ({ message }) => message as ScopedRouteConfiguration);
    scope.gauge('all_scopes').set(scopes.length);
    scope.gauge('on_demand_scopes').set(scopes.filter(({ onDemand }) => onDemand).length);
  }

  private answerAll({ changed, removed }: ConfigUpdate): void {
    const gone = new Set(removed);
    const sent = new Set(changed.flatMap(({ name, aliases = [] }) => [name, ...aliases]));
    for (const name of removed) this.absent.add(name);
    for (const name of sent) this.absent.delete(name);
    for (const name of this.waiters.names) {
      if (this.names.has(name)) this.waiters.answer(name, true);
      // What was refused comes no sooner for waiting.
      else if (gone.has(name) || sent.has(name)) this.waiters.answer(name, false);
    }
    if (this.absent.size > MAX_DEMANDED) this.forgetAbsent();
  }
}

/** Each compiles all there is: users tell of everything that is wrong at once, so that one is enough as a rule. */
const MAX_ROUNDS = 3;
const TOO_MUCH: ConfigProblem = {
  path: '',
  message: 'what else is wrong was not looked for, and the others of this response were left out too',
};

/** The resource that a problem is about. */
function nameIn(path: string, resources: ReadonlyMap<string, unknown>): string | undefined {
  if (resources.has(path)) return path;
  for (let end = path.indexOf(': '); end !== -1; end = path.indexOf(': ', end + 1))
    if (resources.has(path.slice(0, end))) return path.slice(0, end);
  return undefined;
}

/** Users say which member is wrong: there is one here. */
function withoutName({ problems }: ConfigError, name: string): ConfigError {
  const prefix = `${name}: `;
  return new ConfigError(
    problems.map((problem) => {
      if (problem.path === name) return { ...problem, path: '' };
      return problem.path.startsWith(prefix)
        ? { ...problem, path: problem.path.slice(prefix.length) }
        : problem;
    }),
  );
}
