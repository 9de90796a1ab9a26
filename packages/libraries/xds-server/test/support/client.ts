import {
  anyUnpack,
  type Cluster,
  ClusterSchema,
  create,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryRequestSchema,
  fromBinary,
  type Node,
  type Resource,
  ResourceSchema,
  StatusSchema,
  typeUrl,
  type Any,
} from '@dragoman/api';
import type { DeltaStream, SotwStream, StreamSink, XdsError, XdsProtocol } from '../../src/index.ts';
import { node } from './resources.ts';

export const CLUSTERS = typeUrl(ClusterSchema);

export interface ClientOptions {
  /** On a stream for clusters alone. Default: aggregated. */
  readonly separate?: boolean;
  readonly node?: Node;
  /** What it has from another stream. */
  readonly from?: TestClient;
}

/** A client of clusters over no transport, which keeps what it is told by the rules of its protocol. */
export abstract class TestClient {
  /** `alt_stat_name` by name. */
  readonly has = new Map<string, string>();
  readonly versions = new Map<string, string>();
  /** Responses so far. */
  count = 0;
  /** Names in the last response, and how it spoke of them. */
  last: { sent: string[]; removed: string[]; heartbeats: string[]; ttl: string[] } = none();
  version = '';
  nonce = '';
  ended: XdsError | true | undefined;
  /** False: the next message is the last that it takes. */
  writable = true;
  readonly node: Node;
  protected readonly separate: boolean;
  private first = true;

  constructor({ separate = false, node: given = node('test'), from }: ClientOptions) {
    this.separate = separate;
    this.node = given;
    if (from === undefined) return;
    for (const [name, mark] of from.has) this.has.set(name, mark);
    for (const [name, version] of from.versions) this.versions.set(name, version);
    this.version = from.version;
  }

  /** The names it asks for from now on; none on a first request is everything. */
  abstract subscribe(names: readonly string[]): void;
  /** Accepts, or with an error rejects, the last response, or that of a nonce. */
  abstract acknowledge(error?: string, nonce?: string): void;
  abstract drained(): void;
  abstract close(): void;

  protected sink<Out extends DiscoveryResponse | DeltaDiscoveryResponse>(
    take: (response: Out) => void,
  ): StreamSink<Out> {
    return {
      write: (response) => {
        this.count++;
        this.nonce = response.nonce;
        this.last = none();
        take(response);
        return this.writable;
      },
      end: (error) => {
        this.ended = error ?? true;
      },
    };
  }

  protected options() {
    return this.separate ? { typeUrl: CLUSTERS } : {};
  }

  /** What every request has. */
  protected common(nonce: string, error: string | undefined) {
    const errorDetail = error === undefined ? undefined : create(StatusSchema, { code: 3, message: error });
    const sender = this.first ? this.node : undefined;
    this.first = false;
    return { node: sender, typeUrl: this.separate ? '' : CLUSTERS, responseNonce: nonce, errorDetail };
  }

  protected keep(any: Any): void {
    const message = anyUnpack(any, ClusterSchema) as Cluster;
    this.has.set(message.name, message.altStatName);
    this.last.sent.push(message.name);
  }
}

const none = (): TestClient['last'] => ({ sent: [], removed: [], heartbeats: [], ttl: [] });

export class SotwClient extends TestClient {
  readonly stream: SotwStream;
  private names: readonly string[] = [];
  private pending = '';

  constructor(protocol: XdsProtocol, options: ClientOptions = {}) {
    super(options);
    this.stream = protocol.openSotw(
      this.sink<DiscoveryResponse>((response) => this.take(response)),
      this.options(),
    );
  }

  override subscribe(names: readonly string[]): void {
    this.names = names;
    this.send(this.nonce, undefined);
  }

  override acknowledge(error?: string, nonce = this.nonce): void {
    if (error === undefined && nonce === this.nonce) this.version = this.pending;
    this.send(nonce, error);
  }

  override drained(): void {
    this.writable = true;
    this.stream.drained();
  }

  override close(): void {
    this.stream.close();
  }

  private send(nonce: string, error: string | undefined): void {
    const { version: versionInfo } = this;
    this.stream.receive(
      create(DiscoveryRequestSchema, {
        ...this.common(nonce, error),
        versionInfo,
        resourceNames: [...this.names],
      }),
    );
  }

  private take(response: DiscoveryResponse): void {
    this.pending = response.versionInfo;
    const bare = response.resources.filter((any) => any.typeUrl === CLUSTERS);
    const wrapped = response.resources
      .filter((any) => any.typeUrl !== CLUSTERS)
      .map((any) => fromBinary(ResourceSchema, any.value));
    const beats = wrapped.filter(({ resource }) => resource === undefined);
    this.last.heartbeats = beats.map(({ name }) => name);
    this.last.ttl = wrapped
      .filter(({ ttl, resource }) => ttl !== undefined && resource !== undefined)
      .map(({ name }) => name);
    if (beats.length > 0) return;
    const before = [...this.has.keys()];
    this.has.clear();
    for (const any of bare) this.keep(any);
    for (const { resource } of wrapped) this.keep(resource as Any);
    this.last.removed = before.filter((name) => !this.has.has(name));
  }
}

export class DeltaClient extends TestClient {
  readonly stream: DeltaStream;
  private readonly names = new Set<string>();
  private opened = false;

  constructor(protocol: XdsProtocol, options: ClientOptions = {}) {
    super(options);
    this.stream = protocol.openDelta(
      this.sink<DeltaDiscoveryResponse>((response) => this.take(response)),
      this.options(),
    );
  }

  override subscribe(names: readonly string[]): void {
    const subscribe = names.filter((name) => !this.names.has(name));
    const unsubscribe = [...this.names].filter((name) => !names.includes(name));
    this.change(subscribe, unsubscribe);
  }

  change(subscribe: readonly string[], unsubscribe: readonly string[], nonce = '', error?: string): void {
    for (const name of subscribe) this.names.add(name);
    for (const name of unsubscribe) this.names.delete(name);
    const initialResourceVersions = this.opened ? {} : Object.fromEntries(this.versions);
    this.opened = true;
    this.stream.receive(
      create(DeltaDiscoveryRequestSchema, {
        ...this.common(nonce, error),
        resourceNamesSubscribe: [...subscribe],
        resourceNamesUnsubscribe: [...unsubscribe],
        initialResourceVersions,
      }),
    );
  }

  override acknowledge(error?: string, nonce = this.nonce): void {
    this.change([], [], nonce, error);
  }

  override drained(): void {
    this.writable = true;
    this.stream.drained();
  }

  override close(): void {
    this.stream.close();
  }

  private take(response: DeltaDiscoveryResponse): void {
    this.version = response.systemVersionInfo;
    this.last.removed = [...response.removedResources];
    for (const name of response.removedResources) {
      this.has.delete(name);
      this.versions.delete(name);
    }
    for (const one of response.resources) this.takeResource(one);
  }

  private takeResource({ name, version, resource, ttl }: Resource): void {
    if (ttl !== undefined) this.last[resource === undefined ? 'heartbeats' : 'ttl'].push(name);
    if (resource === undefined) return;
    this.versions.set(name, version);
    this.keep(resource);
  }
}

/** Lets everything run that can. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
