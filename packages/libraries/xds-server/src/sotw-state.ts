import {
  type Any,
  AnySchema,
  create,
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  durationFromMs,
  ResourceSchema,
  toBinary,
  typeUrl,
} from '@dragoman/api';
import { Heartbeats } from './heartbeats.ts';
import { kindOf } from './kinds.ts';
import type { XdsResource } from './resource.ts';
import type { ResourceView } from './resource-set.ts';
import { checkNames, takesTtl, type TypeContext, type TypeState, type TypeStatus } from './type-state.ts';

const WRAPPER = typeUrl(ResourceSchema);

/**
 * The state-of-the-world protocol for one type. A response is sent when the version differs from that of the last one, or
 * when names are asked for that were not before; never while the last one is neither accepted nor rejected.
 */
export class SotwState implements TypeState<DiscoveryRequest, DiscoveryResponse> {
  readonly #context: TypeContext;
  readonly #whole: boolean;
  readonly #ttl: boolean;
  readonly #heartbeats: Heartbeats;
  #names = new Set<string>();
  #wildcard = false;
  #everNamed = false;
  /** Names that were asked for since the last response. */
  #fresh = new Set<string>();
  /** The wildcard is new: versions that were sent say nothing about it. */
  #freshWildcard = false;
  /** The last answer that held everything. */
  #last: readonly XdsResource[] = [];
  /** Partial answers: what was sent, by name. */
  readonly #sent = new Map<string, string>();
  #first = true;
  /** A version that the client has from another stream, to be compared with the first view. */
  #resumed: string | undefined;
  #version: string | undefined;
  #acked: string | undefined;
  #error: string | undefined;
  #nonce = '';
  #waiting = false;

  constructor(context: TypeContext) {
    this.#context = context;
    this.#whole = kindOf(context.typeUrl)?.whole === true;
    this.#ttl = takesTtl(context.node, 'sotw');
    this.#heartbeats = new Heartbeats(context.clock, () => context.wake());
  }

  receive(request: DiscoveryRequest): void {
    // A request that was under way when a response was sent: the client sends another when it has seen that.
    if (this.#nonce !== '' && request.responseNonce !== this.#nonce) return;
    checkNames(request.resourceNames, this.#context.limits);
    this.#subscribe(request);
    if (this.#waiting) this.#acknowledge(request);
  }

  answer(nonce: string): DiscoveryResponse | undefined {
    if (this.#waiting) return undefined;
    const view = this.#context.subscription?.view();
    const resources = view === undefined ? undefined : this.#next(view);
    if (view !== undefined && resources !== undefined)
      return this.#respond(nonce, view.version, resources, (one) => this.#packed(one, view.version));
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

  #subscribe({ resourceNames, versionInfo }: DiscoveryRequest): void {
    this.#everNamed ||= resourceNames.length > 0;
    const wildcard = !this.#everNamed || resourceNames.includes('*');
    const names = new Set(resourceNames);
    names.delete('*');
    const added = [...names].filter((name) => !this.#names.has(name));
    const removed = [...this.#names].filter((name) => !names.has(name));
    const changed = this.#first || wildcard !== this.#wildcard || added.length > 0 || removed.length > 0;
    const { rules } = this.#context.subscription ?? {};
    if (this.#first && wildcard && names.size === 0 && rules?.resumable === true && versionInfo !== '')
      this.#resumed = versionInfo;
    this.#freshWildcard ||= wildcard && !this.#wildcard && this.#resumed === undefined;
    this.#first = false;
    if (!changed) return;
    this.#names = names;
    this.#wildcard = wildcard;
    for (const name of removed) {
      this.#context.budget.give(name);
      this.#fresh.delete(name);
    }
    for (const name of added) {
      this.#context.budget.take(name);
      this.#fresh.add(name);
    }
    const covers = (name: string, keys?: readonly string[]): boolean =>
      wildcard || names.has(name) || keys?.some((key) => names.has(key)) === true;
    const view = this.#context.subscription?.view();
    for (const name of this.#sent.keys()) if (!covers(name, view?.get(name)?.keys)) this.#sent.delete(name);
    this.#heartbeats.retain(({ name, keys }) => covers(name, keys));
    this.#context.subscription?.setInterest({ wildcard, names, added, removed });
  }

  #acknowledge({ errorDetail, responseNonce: nonce }: DiscoveryRequest): void {
    this.#waiting = false;
    const { typeUrl: url, onAck, onNack } = this.#context;
    const version = this.#version ?? '';
    if (errorDetail === undefined) {
      this.#acked = version;
      this.#error = undefined;
      onAck({ typeUrl: url, version, nonce });
    } else {
      this.#error = errorDetail.message;
      onNack({ typeUrl: url, version, nonce, error: errorDetail });
    }
  }

  /** The resources of the next response; undefined when none is due. */
  #next(view: ResourceView): readonly XdsResource[] | undefined {
    if (!this.#wildcard && this.#names.size === 0) return undefined;
    const rules = this.#context.subscription?.rules;
    if (rules?.complete === true && !this.#wildcard) {
      for (const name of this.#names) if (view.find(name).length === 0) return undefined;
    }
    // Envoy deletes what an answer to a wildcard does not hold, of whatever type.
    const partial = rules?.partial === true && !this.#whole && !this.#wildcard;
    if (this.#resumed === view.version && !this.#mortal(view)) this.#version = this.#acked = view.version;
    else this.#freshWildcard ||= this.#resumed !== undefined;
    this.#resumed = undefined;
    const resources = partial ? this.#changed(view) : this.#everything(view);
    if (resources === undefined) return undefined;
    this.#fresh.clear();
    this.#freshWildcard = false;
    return resources;
  }

  #everything(view: ResourceView): readonly XdsResource[] | undefined {
    this.#context.subscription?.changes(); // taken, though not needed: it must not pile up
    const asked =
      this.#freshWildcard || [...this.#fresh].some((name) => this.#whole || view.find(name).length > 0);
    if (!asked && this.#version === view.version) return undefined;
    const resources = [...this.#covered(view)];
    if (this.#heartbeats.any) {
      const there = new Set(resources);
      this.#heartbeats.retain((one) => there.has(one));
    }
    this.#last = resources;
    return resources;
  }

  /** How much of a time to live is over since a client heard of a resource on another stream, nobody knows. */
  #mortal(view: ResourceView): boolean {
    if (!this.#ttl) return false;
    for (const { ttlMs } of this.#covered(view)) if (ttlMs !== undefined) return true;
    return false;
  }

  /** An answer needs not hold what the client has. Removals cannot be said. */
  #changed(view: ResourceView): readonly XdsResource[] | undefined {
    const changes = this.#context.subscription?.changes();
    const found = new Set<XdsResource>();
    const consider = (one: XdsResource | undefined): void => {
      if (one !== undefined && this.#covers(one) && this.#sent.get(one.name) !== one.version) found.add(one);
    };
    if (changes === undefined) for (const one of this.#covered(view)) consider(one);
    else for (const name of changes) consider(view.get(name));
    for (const name of changes ?? this.#sent.keys()) if (view.get(name) === undefined) this.#forget(name);
    for (const name of this.#fresh) for (const one of view.find(name)) found.add(one);
    for (const one of found) this.#sent.set(one.name, one.version);
    return found.size > 0 ? [...found] : undefined;
  }

  #forget(name: string): void {
    this.#sent.delete(name);
    this.#heartbeats.gone(name);
  }

  #covers({ keys }: XdsResource): boolean {
    return this.#wildcard || keys.some((key) => this.#names.has(key));
  }

  #covered(view: ResourceView): Iterable<XdsResource> {
    if (this.#wildcard) return view.all();
    const found = new Set<XdsResource>();
    for (const name of this.#names) for (const one of view.find(name)) found.add(one);
    return found;
  }

  #packed(one: XdsResource, version: string): Any {
    if (!this.#ttl) return one.any;
    this.#heartbeats.sent(one);
    return one.ttlMs === undefined ? one.any : wrapped(one, version);
  }

  /**
   * The resources again, and where an answer has to hold all there is, all: Envoy takes one with nothing but heartbeats for
   * one with no resources at all, and other types' TTLs are not renewed without them. Not what was rejected.
   */
  #heartbeat(nonce: string): DiscoveryResponse | undefined {
    const kept = this.#heartbeats.take();
    if (kept.length === 0 || this.#error !== undefined) return undefined;
    const version = this.#version ?? '';
    const again = this.#whole || this.#wildcard ? this.#last.filter((one) => this.#covers(one)) : kept;
    return this.#respond(nonce, version, again, (one) => this.#packed(one, version));
  }

  #respond(
    nonce: string,
    version: string,
    list: readonly XdsResource[],
    pack: (one: XdsResource) => Any,
  ): DiscoveryResponse {
    this.#version = version;
    this.#nonce = nonce;
    this.#waiting = true;
    const { typeUrl: url } = this.#context;
    return create(DiscoveryResponseSchema, {
      versionInfo: version,
      typeUrl: url,
      nonce,
      resources: list.map(pack),
    });
  }
}

function wrapped(one: XdsResource, version: string): Any {
  const { name, aliases, any, ttlMs } = one;
  const ttl = durationFromMs(ttlMs as number);
  const message = create(ResourceSchema, { name, aliases: [...aliases], version, resource: any, ttl });
  return create(AnySchema, { typeUrl: WRAPPER, value: toBinary(ResourceSchema, message) });
}
