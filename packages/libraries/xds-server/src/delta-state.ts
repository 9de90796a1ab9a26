import {
  create,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  durationFromMs,
  type Resource,
  ResourceSchema,
} from '@dragoman/api';
import { Heartbeats } from './heartbeats.ts';
import { KINDS } from './kinds.ts';
import type { XdsResource } from './resource.ts';
import type { ResourceView } from './resource-set.ts';
import {
  checkLength,
  checkNames,
  takesTtl,
  tooManyNames,
  type TypeContext,
  type TypeState,
  type TypeStatus,
} from './type-state.ts';

/** A response while it is put together. */
interface Draft {
  readonly resources: Set<XdsResource>;
  readonly removed: Set<string>;
  /** Names of virtual hosts that are none: they are answered with a resource that is empty. */
  readonly empty: Set<string>;
  bytes: number;
  full: boolean;
}

interface Sent {
  readonly version: string;
  readonly resources: readonly XdsResource[];
}

/** A client that subscribes while a response is on its way gets another, and may then speak of both. */
const MAX_OUTSTANDING = 16;

/**
 * The delta protocol for one type. What the client has is known by name and version; a response holds what it lacks. After
 * a response the next one waits for a request of any kind, as in go-control-plane.
 */
export class DeltaState implements TypeState<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  readonly #context: TypeContext;
  readonly #ttl: boolean;
  readonly #heartbeats: Heartbeats;
  readonly #names = new Set<string>();
  #wildcard = false;
  /** What the client has, by resource name. */
  readonly #known = new Map<string, string>();
  /** Names to be answered whatever is known; true: with the resource, even if the client has it. */
  readonly #asked = new Map<string, boolean>();
  /** Everything has to be compared, not only what changed. */
  #compareAll = true;
  #first = true;
  #answered = false;
  #version: string | undefined;
  #acked: string | undefined;
  #error: string | undefined;
  #waiting = false;
  /** Responses that the client has not spoken of, by nonce; a few, as it may never do so. */
  readonly #outstanding = new Map<string, Sent>();

  constructor(context: TypeContext) {
    this.#context = context;
    this.#ttl = takesTtl(context.node, 'delta');
    this.#heartbeats = new Heartbeats(context.clock, () => context.wake());
  }

  receive(request: DeltaDiscoveryRequest): void {
    const { limits } = this.#context;
    const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
    checkNames(subscribe, limits);
    checkNames(unsubscribe, limits);
    const before = this.#wildcard;
    if (this.#first) this.#open(request);
    const added = subscribe.filter((name) => this.#subscribe(name));
    const removed = unsubscribe.filter((name) => this.#unsubscribe(name));
    if (this.#names.size > limits.namesPerType) throw tooManyNames(limits);
    if (before && !this.#wildcard) this.#narrow();
    if (this.#first || before !== this.#wildcard || added.length > 0 || removed.length > 0) {
      // A name that comes and goes in one request was never there.
      const fresh = added.filter((name) => this.#names.has(name));
      this.#context.subscription?.setInterest({
        wildcard: this.#wildcard,
        names: this.#names,
        added: fresh,
        removed,
      });
    }
    this.#first = false;
    this.#waiting = false;
    this.#acknowledge(request);
  }

  answer(nonce: string): DeltaDiscoveryResponse | undefined {
    if (this.#waiting) return undefined;
    const view = this.#context.subscription?.view();
    const update = view === undefined ? undefined : this.#update(nonce, view);
    if (update !== undefined) return update;
    return this.#heartbeats.due ? this.#heartbeat(nonce) : undefined;
  }

  close(): void {
    this.#heartbeats.stop();
    this.#context.subscription?.close();
  }

  status(): TypeStatus {
    return {
      typeUrl: this.#context.typeUrl,
      wildcard: this.#wildcard,
      names: this.#names.size,
      sentVersion: this.#version,
      ackedVersion: this.#acked,
      error: this.#error,
    };
  }

  #update(nonce: string, view: ResourceView): DeltaDiscoveryResponse | undefined {
    const { resources, removed, empty } = this.#draft(view);
    const initial = this.#wildcard && !this.#answered;
    if (resources.size === 0 && removed.size === 0 && empty.size === 0 && !initial) return undefined;
    const packed = [...resources].map((one) => this.#packed(one));
    for (const name of empty) packed.push(create(ResourceSchema, { name, aliases: [name] }));
    return this.#respond(nonce, { version: view.version, resources: [...resources] }, packed, [...removed]);
  }

  #open(request: DeltaDiscoveryRequest): void {
    const { limits, budget } = this.#context;
    // Before "*" was a name, a first request without names was the way to ask for everything.
    this.#wildcard =
      request.resourceNamesSubscribe.length === 0 && request.resourceNamesUnsubscribe.length === 0;
    const view = this.#context.subscription?.view();
    const versions = Object.entries(request.initialResourceVersions);
    checkNames(
      versions.map(([name]) => name),
      limits,
    );
    for (const [name, version] of versions) {
      checkLength(version, 'a version', limits);
      budget.take(name + version);
      // How much of a time to live is over, nobody knows: the resource is sent again.
      if (!this.#ttl || view?.get(name)?.ttlMs === undefined) this.#known.set(name, version);
    }
  }

  /** Returns true when the name is new. */
  #subscribe(name: string): boolean {
    if (name === '*') {
      this.#compareAll ||= !this.#wildcard;
      this.#wildcard = true;
      return false;
    }
    const known = this.#names.has(name);
    // A name that was dropped under a wildcard and not answered yet is still paid for.
    if (!known && !this.#asked.has(name)) this.#context.budget.take(name);
    this.#names.add(name);
    this.#asked.set(name, !this.#first);
    return !known;
  }

  /** Returns true when the name was there. */
  #unsubscribe(name: string): boolean {
    if (name === '*') {
      this.#wildcard = false;
      return false;
    }
    if (!this.#names.delete(name)) return false;
    this.#asked.delete(name);
    // Under a wildcard the client cannot know whether it still gets the resource: it is told, one way or the other.
    if (this.#wildcard) {
      this.#asked.set(name, true);
      return true;
    }
    this.#context.budget.give(name);
    const view = this.#context.subscription?.view();
    for (const one of view?.find(name) ?? []) if (!this.#covers(one)) this.#forget(one.name);
    if (view?.get(name) === undefined) this.#forget(name);
    return true;
  }

  /** Without the wildcard, most of what the client has is none of its business any more. */
  #narrow(): void {
    const view = this.#context.subscription?.view();
    for (const name of this.#known.keys()) {
      const keys = view?.get(name)?.keys ?? [name];
      if (!keys.some((key) => this.#names.has(key))) this.#forget(name);
    }
  }

  #forget(name: string): void {
    this.#known.delete(name);
    this.#heartbeats.gone(name);
  }

  #acknowledge({ errorDetail, responseNonce: nonce }: DeltaDiscoveryRequest): void {
    const sent = this.#outstanding.get(nonce);
    if (sent === undefined) return;
    this.#outstanding.delete(nonce);
    const { typeUrl, onAck, onNack } = this.#context;
    const { version } = sent;
    if (errorDetail === undefined) {
      this.#acked = version;
      this.#error = undefined;
      onAck({ typeUrl, version, nonce });
    } else {
      this.#error = errorDetail.message;
      // The client does not have them: a heartbeat would be an update without a resource to it.
      for (const { name } of sent.resources) this.#heartbeats.gone(name);
      onNack({ typeUrl, version, nonce, error: errorDetail });
    }
  }

  #draft(view: ResourceView): Draft {
    const draft: Draft = {
      resources: new Set(),
      removed: new Set(),
      empty: new Set(),
      bytes: 0,
      full: false,
    };
    const changes = this.#context.subscription?.changes();
    if (this.#compareAll || changes === undefined) this.#compare(view, draft);
    else for (const name of changes) this.#look(name, view.get(name), draft);
    for (const [name, again] of this.#asked) {
      if (draft.full) break;
      this.#reply(name, again, view.find(name), draft);
      this.#asked.delete(name);
      if (!this.#names.has(name)) this.#context.budget.give(name);
    }
    // What had no room is found again by comparing: it is not known yet.
    this.#compareAll = draft.full;
    return draft;
  }

  #compare(view: ResourceView, draft: Draft): void {
    if (this.#wildcard) {
      for (const one of view.all()) this.#look(one.name, one, draft);
    } else {
      for (const name of this.#names) for (const one of view.find(name)) this.#look(one.name, one, draft);
    }
    for (const name of this.#known.keys()) {
      const one = view.get(name);
      // What a client brings along from another stream is not questioned as long as it exists.
      if (one === undefined || this.#answered) this.#look(name, one, draft);
    }
  }

  /** A resource that may have changed, or gone: from everywhere, or from the names that the client asked for. */
  #look(name: string, one: XdsResource | undefined, draft: Draft): void {
    if (one !== undefined && this.#covers(one)) {
      if (this.#known.get(name) !== one.version) this.#add(one, draft);
    } else if (this.#known.has(name)) {
      this.#forget(name);
      draft.removed.add(name);
    }
  }

  /** A name that was asked for. */
  #reply(name: string, again: boolean, found: readonly XdsResource[], draft: Draft): void {
    for (const one of found) {
      if (again || this.#known.get(one.name) !== one.version) this.#add(one, draft);
    }
    if (found.length > 0) return;
    // Of virtual hosts, a name without "/" is that of a route configuration, which may well have none.
    if (this.#context.typeUrl !== KINDS.virtualHosts.typeUrl) draft.removed.add(name);
    else if (name.includes('/')) draft.empty.add(name);
  }

  #add(one: XdsResource, draft: Draft): void {
    if (draft.resources.has(one)) return;
    const bytes = one.any.value.length + one.name.length;
    draft.full ||= draft.bytes > 0 && draft.bytes + bytes > this.#context.limits.deltaResponseBytes;
    if (draft.full) {
      this.#known.delete(one.name);
      return;
    }
    draft.bytes += bytes;
    draft.resources.add(one);
    draft.removed.delete(one.name);
    this.#known.set(one.name, one.version);
  }

  #covers({ keys }: XdsResource): boolean {
    return this.#wildcard || keys.some((key) => this.#names.has(key));
  }

  #packed(one: XdsResource): Resource {
    if (this.#ttl) this.#heartbeats.sent(one);
    const { name, aliases, version, any, ttlMs } = one;
    const ttl = this.#ttl && ttlMs !== undefined ? durationFromMs(ttlMs) : undefined;
    return create(ResourceSchema, { name, aliases: [...aliases], version, resource: any, ttl });
  }

  #heartbeat(nonce: string): DeltaDiscoveryResponse | undefined {
    const kept = this.#heartbeats.take();
    if (kept.length === 0) return undefined;
    // Of virtual hosts Envoy takes a resource without content for one that does not exist.
    const bare = this.#context.typeUrl !== KINDS.virtualHosts.typeUrl;
    const resources = kept.map((one) => {
      const packed = this.#packed(one);
      if (bare) packed.resource = undefined;
      return packed;
    });
    return this.#respond(nonce, { version: this.#version ?? '', resources: kept }, resources, []);
  }

  #respond(nonce: string, sent: Sent, resources: Resource[], removed: string[]): DeltaDiscoveryResponse {
    const { version } = sent;
    this.#version = version;
    this.#outstanding.set(nonce, sent);
    if (this.#outstanding.size > MAX_OUTSTANDING) this.#outstanding.delete([...this.#outstanding.keys()][0]);
    this.#waiting = true;
    this.#answered = true;
    const { typeUrl } = this.#context;
    return create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: version,
      typeUrl,
      nonce,
      resources,
      removedResources: removed,
    });
  }
}
