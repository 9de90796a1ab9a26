import type { DescMessage, Status } from '@dragoman/api';
import { type Clock, ConfigError, type ConfigProblem, type Logger } from '@dragoman/core';
import { canonicalName, groupsOf } from '@dragoman/xds-sources';
import { Application } from './application.ts';
import type { DiscoveryType } from './discovery-types.ts';
import { distribute, knownShare, type Scope, type Share } from './distribution.ts';
import { type ReadUpdate, readUpdate } from './incoming-update.ts';
import { KnownResources, type RefusedUpdate } from './known-resources.ts';
import { describeProblems, nackStatus } from './nack.ts';
import type { AnyRequest, Incoming, Protocol } from './protocol.ts';
import type { Reported } from './report.ts';
import type { ResourceReader } from './resource-reader.ts';
import type { Watch } from './watch.ts';
import { WatchMap } from './watch-map.ts';

/** Names that all subscribers of a type want on one stream: a config that goes wild must not fill requests without end. */
export const MAX_NAMES = 100_000;

/** What a channel needs of the stream that it is on. */
export interface ChannelHost {
  /** A request may be due. */
  requestDue(): void;
  /** Responses wait, or do so no longer. */
  waitingChanged(): void;
  /** An update is applied: requests of these types wait until it is taken back. */
  hold(typeUrls: readonly string[]): () => void;
}

export interface ChannelOptions<Q extends AnyRequest, R> {
  readonly typeUrl: string;
  readonly type: DiscoveryType;
  readonly schema: DescMessage;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reader: ResourceReader;
  readonly host: ChannelHost;
  createProtocol(typeUrl: string, watches: WatchMap, known: KnownResources): Protocol<Q, R>;
}

/** Responses of a type behind such an update that do not keep those of others from being read. */
const MAX_STALLED = 100;

/**
 * One type of resource on one stream: brings responses to those who want what is in them, one after the other, and says what the server is to
 * be told. It knows no sockets.
 */
export class TypeChannel<Q extends AnyRequest, R> implements Reported {
  readonly typeUrl: string;
  readonly type: DiscoveryType;
  readonly watches = new WatchMap();
  readonly known: KnownResources;
  readonly protocol: Protocol<Q, R>;
  /** Responses that a newer one has made superfluous before their turn. */
  skipped = 0;
  /** Resources that came although nobody had asked for them. */
  unwanted = 0;
  /** Last taken over. */
  version = '';
  lastError: RefusedUpdate | undefined = undefined;
  private readonly options: ChannelOptions<Q, R>;
  private waiting: R[] = [];
  private readonly jobs: (() => void)[] = [];
  private current: Application | undefined = undefined;
  private pumping = false;
  /** An update takes longer to be applied than others wait for it. */
  private stalled = false;
  private generation = 0;
  private answered = false;
  private interestShrunk = false;
  private closed = false;

  constructor(options: ChannelOptions<Q, R>) {
    const { typeUrl, type, clock } = options;
    this.options = options;
    this.typeUrl = typeUrl;
    this.type = type;
    this.known = new KnownResources(clock, (names) => this.onExpired(names));
    this.protocol = options.createProtocol(typeUrl, this.watches, this.known);
  }

  // --- Reported ------------------------------------------------------------------------------------------------------------

  get names(): Iterable<string> {
    const { names, openNames } = this.watches;
    const groups = openNames.size === 0 ? openNames : this.known.groups();
    // One that has brought something is there.
    return [...names].filter((name) => !(openNames.has(name) && groups.has(name)));
  }

  get lateNames(): ReadonlySet<string> {
    return new Set([...this.watches].flatMap(({ timedOut, names }) => (timedOut ? [...names] : [])));
  }

  // --- Subscribers ---------------------------------------------------------------------------------------------------------

  /** @throws ConfigError when there are more names than may be wanted */
  checkRoom(names: readonly string[]): void {
    const wanted = this.watches.names;
    if (wanted.size + names.length <= MAX_NAMES) return;
    const added = names.filter((name) => !wanted.has(canonicalName(name))).length;
    if (wanted.size + added > MAX_NAMES)
      throw ConfigError.at(
        '',
        `more than ${MAX_NAMES} resources of ${this.type.label} are asked for by name`,
      );
  }

  addWatch(watch: Watch): void {
    const { revision } = this.watches;
    this.watches.add(watch);
    this.wantedSince(revision);
    this.replay(watch, undefined);
    this.options.host.requestDue();
  }

  setNames(watch: Watch, names: readonly string[]): void {
    const { revision } = this.watches;
    const { added, removed } = this.watches.setNames(watch, names);
    if (added.length === 0 && removed.length === 0) return;
    this.interestShrunk ||= removed.length > 0;
    this.wantedSince(revision);
    if (added.length > 0) this.replay(watch, new Set(added));
    this.options.host.requestDue();
  }

  removeWatch(watch: Watch): void {
    if (!this.watches.has(watch)) return;
    const { revision } = this.watches;
    this.watches.remove(watch);
    this.interestShrunk = true;
    this.wantedSince(revision);
    watch.stop();
    this.options.host.requestDue();
  }

  /** Who wants what others want as well is no news to the server: thousands come and go when every cluster is replaced. */
  private wantedSince(revision: number): void {
    if (revision !== this.watches.revision) this.protocol.interestChanged();
  }

  // --- The stream ----------------------------------------------------------------------------------------------------------

  opened(sameServer: boolean): void {
    this.generation++;
    this.waiting = [];
    this.known.forgetReleased();
    this.protocol.opened(sameServer);
  }

  /** What waited is lost: the next stream brings it again. */
  disconnected(details: string): void {
    this.generation++;
    this.waiting = [];
    for (const watch of [...this.watches]) if (!watch.stopped) watch.connectionFailed(details);
  }

  receive(response: R): void {
    if (this.closed) return;
    this.protocol.received(response);
    if (this.isWhole() && this.waiting.length > 0) {
      this.skipped += this.waiting.length;
      this.waiting = [];
    }
    this.waiting.push(response);
    this.pump();
    this.options.host.waitingChanged();
  }

  /** Responses that have not had their turn. */
  get waitingResponses(): number {
    const { length } = this.waiting;
    // What the update waits for may come over the same stream.
    return this.stalled && length <= MAX_STALLED ? 0 : length;
  }

  get ackPending(): boolean {
    return this.protocol.acksPending > 0;
  }

  get requestPending(): boolean {
    return this.protocol.pending;
  }

  /** The next request: it counts as sent. */
  takeRequest(): Q {
    const request = this.protocol.take();
    if (this.interestShrunk) {
      // Only now does the server know that it need not keep these up to date.
      this.interestShrunk = false;
      this.known.keepOnly(
        (name, aliases) => this.watches.wants(name, aliases),
        this.protocol.stateOfTheWorld,
      );
    }
    return request;
  }

  close(): void {
    this.closed = true;
    this.waiting = [];
    this.jobs.length = 0;
    this.known.close();
    for (const watch of [...this.watches]) this.removeWatch(watch);
  }

  // --- Work, one piece at a time ----------------------------------------------------------------------------------------------

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.current === undefined && !this.closed) {
        const job = this.jobs.shift();
        if (job === undefined && this.waiting.length === 0) break;
        this.safely(job ?? (() => this.applyResponse()));
      }
    } finally {
      this.pumping = false;
    }
  }

  private applyResponse(): void {
    const { options, protocol, watches, known, type } = this;
    const taken = this.waiting.splice(0, protocol.stateOfTheWorld ? this.waiting.length : 1);
    const { generation } = this;
    this.skipped += taken.length - 1;
    const incoming = protocol.read(taken, this.isWhole());
    const merged = taken.length > 1;
    const update = readUpdate(incoming, {
      type,
      schema: options.schema,
      reader: options.reader,
      known,
      watches,
      merged,
    });
    const bad = [...[...update.bad.values()].flatMap(({ problems }) => problems), ...update.nameless];
    const held = protocol.stateOfTheWorld ? [this.typeUrl, ...type.holds] : type.holds;
    const release = options.host.hold(held);
    const shares = distribute(update, this.scope(incoming.version));
    const timer = options.clock.timer(() => {
      this.stalled = true;
      release();
      options.host.waitingChanged();
    });
    this.apply(shares, (application) => {
      timer.disable();
      this.stalled = false;
      if (this.closed) return;
      const error = this.commit(incoming, update, [...bad, ...application.refused], application);
      if (generation === this.generation) protocol.settled(incoming, error);
      else protocol.settledLate(incoming, error);
      release();
    });
    // It did not come to an end at once.
    if (this.current !== undefined) timer.enable(type.maxHoldMs);
  }

  private apply(shares: ReadonlyMap<Watch, Share>, finish: (application: Application) => void): void {
    const application = new Application(finish);
    this.current = application;
    for (const [watch, { update, bad }] of shares) {
      // Another subscriber may have stopped it.
      if (watch.stopped || !this.watches.has(watch)) continue;
      application.outstanding++;
      watch.deliver(update, bad, (refused) => {
        if (refused.length > 0) application.blame(refused, update?.changed ?? []);
        this.oneDone(application);
      });
    }
    this.oneDone(application);
  }

  private oneDone(application: Application): void {
    if (--application.outstanding > 0) return;
    this.current = undefined;
    this.safely(() => {
      application.finish(application);
      if (this.closed) return;
      this.options.host.requestDue();
      if (this.pumping) return;
      this.pump();
      this.options.host.waitingChanged();
    });
  }

  /** It runs in turns of its own, where an error would end the process. */
  private safely(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.current = undefined;
      const { type, options } = this;
      options.logger.error(`a bug in ${type.label}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  /** Keeps what was taken over. */
  private commit(
    incoming: Incoming,
    update: ReadUpdate,
    problems: readonly ConfigProblem[],
    { refusedAll, refusedByName }: Application,
  ): Status | undefined {
    const { known, watches, type } = this;
    const at = this.options.clock.wallTime();
    this.answered = true;
    const details = describeProblems(problems);
    const refusal = (version: string, about: readonly ConfigProblem[]): RefusedUpdate => ({
      // One text for all: there may be many resources.
      details: about === problems ? details : describeProblems(about),
      version,
      at,
    });
    for (const [name, { resource, ttlMs }] of update.good) {
      const about = refusedByName.get(name);
      if (refusedAll) known.refuse(name, refusal(resource.version, problems));
      else if (about !== undefined) known.refuse(name, refusal(resource.version, about));
      else known.accept(name, resource, ttlMs);
      this.interestShrunk ||= !watches.wants(name, resource.aliases ?? []);
    }
    for (const [name, { version, problems: about }] of update.bad)
      known.refuse(name, refusal(version, about));
    for (const [name, ttlMs] of update.heartbeats) known.renew(name, ttlMs);
    const gone = [...this.goneBy(update)];
    for (const name of gone) known.remove(name, watches.names.has(name));
    this.noteEmptied(update.empty ? watches.openNames : gone.flatMap(groupsOf));
    this.countUnwanted(update.unwanted);
    if (problems.length === 0) {
      this.version = incoming.version;
      this.lastError = undefined;
      return undefined;
    }
    this.lastError = refusal(incoming.version, problems);
    this.options.logger.warn(`${type.label} update "${incoming.version}" rejected: ${details}`);
    return nackStatus(problems);
  }

  /** Of these open names perhaps nothing is left: who asks for one of them later is to hear that. */
  private noteEmptied(names: Iterable<string>): void {
    const { known, watches } = this;
    const { openNames } = watches;
    const open = openNames.size === 0 ? [] : [...names].filter((name) => openNames.has(name));
    if (open.length === 0) return;
    const groups = known.groups();
    for (const name of open) if (!groups.has(name)) known.remove(name, true);
  }

  private countUnwanted(count: number): void {
    if (count === 0) return;
    this.unwanted += count;
    this.options.logger.debug(`${this.type.label}: ${count} resources that nobody has asked for: dropped`);
  }

  private goneBy(update: ReadUpdate): Iterable<string> {
    if (!this.protocol.stateOfTheWorld) return update.removed;
    const { good, bad, heartbeats, nameless } = update;
    if (!this.isWhole() || nameless.length > 0 || update.onlyHeartbeats) return [];
    return [...this.known]
      .map(({ name }) => name)
      .filter((name) => !good.has(name) && !bad.has(name) && !heartbeats.has(name));
  }

  // --- What comes without a response ---------------------------------------------------------------------------------------

  /** What others have already: a job of its own, since no callback may come before a subscription is there. */
  private replay(watch: Watch, names: ReadonlySet<string> | undefined): void {
    this.known.revive(names ?? watch.names);
    // What is being applied is known only when that is done, and is not sent again either.
    if (this.known.size === 0 && !this.answered && this.current === undefined) return;
    this.enqueue(() => {
      if (watch.stopped) return;
      const update = knownShare(watch, names, this.answered, this.scope(this.version));
      if (update !== undefined) this.apply(new Map([[watch, { update, bad: [] }]]), () => {});
    });
  }

  private onExpired(names: readonly string[]): void {
    this.noteEmptied(names.flatMap(groupsOf));
    this.protocol.expired();
    this.options.logger.info(`${this.type.label}: the time to live of ${names.length} resources is over`);
    this.enqueue(() => {
      const shares = new Map<Watch, { update: NonNullable<Share['update']>; bad: [] }>();
      for (const watch of this.watches) {
        const removed = names.filter((name) => watch.wants(name)).map((name) => watch.spell(name));
        if (removed.length > 0)
          shares.set(watch, {
            update: { changed: [], removed, versionInfo: this.version, full: false },
            bad: [],
          });
      }
      this.apply(shares, () => {});
    });
  }

  private enqueue(job: () => void): void {
    this.jobs.push(job);
    queueMicrotask(() => this.pump());
  }

  private scope(version: string): Scope {
    const { watches, known, type, protocol } = this;
    return { watches, known, version, stateOfTheWorld: protocol.stateOfTheWorld, whole: type.whole };
  }

  /** Each response says all there is. */
  private isWhole(): boolean {
    return (
      this.protocol.stateOfTheWorld &&
      (this.type.whole || (this.watches.onlyWildcard && this.watches.wildcard))
    );
  }
}
