import {
  type ApiConfigSource,
  ApiConfigSourceSchema,
  anyPack,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  ConfigSourceSchema,
  create,
  DeltaDiscoveryResponseSchema,
  type DescMessage,
  DiscoveryResponseSchema,
  durationFromMs,
  isMessage,
  LbEndpointSchema,
  type Message,
  NodeSchema,
  readLoose,
  ResourceSchema,
  typeUrl,
  VirtualHostSchema,
} from '@dragoman/api';
import type { Any, DeltaDiscoveryRequest, DiscoveryRequest } from '@dragoman/api';
import type { ConfigSubscription, ConfigUpdate, SubscriptionFailure } from '@dragoman/core';
import { type TestContext, testContext } from '@dragoman/testing';
import { createXds, type Xds, type XdsOptions } from '../../src/index.ts';
import { FakeGrpc, type FakeStream } from './fake-grpc.ts';

export type Variant = 'sotw' | 'delta';

export const NODE = create(NodeSchema, { id: 'node', cluster: 'cluster' });

export function apiSource(variant: Variant, over: object = {}, ...clusters: string[]): ApiConfigSource {
  return readLoose(ApiConfigSourceSchema, {
    api_type: variant === 'sotw' ? 'GRPC' : 'DELTA_GRPC',
    transport_api_version: 'V3',
    grpc_services: (clusters.length === 0 ? ['xds'] : clusters).map((name) => ({
      envoy_grpc: { cluster_name: name },
    })),
    ...over,
  });
}

export const source = (config: object) => readLoose(ConfigSourceSchema, config);
export const ADS = source({ ads: {} });

/** What a server sends in short: a text makes a resource of the type, `undefined` one without body. */
export interface Sent {
  readonly changed?: Readonly<Record<string, string | undefined | Any>>;
  readonly removed?: readonly string[];
  readonly version?: string;
  readonly nonce?: string;
  readonly ttlMs?: number;
  /** Wrapped, with state of the world. */
  readonly wrap?: boolean;
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  readonly controlPlane?: string;
}

/** A resource whose `text` tells versions of it apart. */
export function resource(type: DescMessage, name: string, text: string): Message {
  switch (type.typeName) {
    case ClusterSchema.typeName:
      return create(ClusterSchema, { name, altStatName: text });
    case ClusterLoadAssignmentSchema.typeName:
      return create(ClusterLoadAssignmentSchema, {
        clusterName: name,
        endpoints: [{ locality: { zone: text } }],
      });
    case LbEndpointSchema.typeName:
      return create(LbEndpointSchema, { metadata: { filterMetadata: { [text]: {} } } });
    case VirtualHostSchema.typeName:
      return create(VirtualHostSchema, { name, domains: ['*'] });
    default:
      return readLoose(type, { name });
  }
}

export function textOf(message: Message): string {
  if (isMessage(message, ClusterSchema)) return message.altStatName;
  if (isMessage(message, ClusterLoadAssignmentSchema)) return message.endpoints[0]?.locality?.zone ?? '';
  if (isMessage(message, LbEndpointSchema)) return Object.keys(message.metadata?.filterMetadata ?? {}).join();
  return (message as Message & { name: string }).name;
}

/** A subscriber, and what came of it: `+a=1 -b v1`, `full`, failures. */
export class Subscriber {
  readonly events: string[] = [];
  subscription!: ConfigSubscription;
  /** Decides an update; a promise waits for {@link settle}. */
  answer: (update: ConfigUpdate) => void | Promise<void> = () => {};

  onUpdate(update: ConfigUpdate): void | Promise<void> {
    const parts = [
      ...update.changed.map(({ name, message }) => `+${name}=${textOf(message as Message)}`),
      ...update.removed.map((name) => `-${name}`),
    ].sort();
    this.events.push([...(update.full ? ['full'] : []), ...parts, `v${update.versionInfo}`].join(' '));
    return this.answer(update);
  }

  onFailure(reason: SubscriptionFailure, details: string): void {
    this.events.push(reason === 'rejected' ? `rejected: ${details}` : reason);
  }

  /** What has come since the last call. */
  take(): string[] {
    return this.events.splice(0);
  }

  /** From now on updates wait; the returned functions decide the one that waits. */
  hold(): { accept(): Promise<void>; refuse(error: Error): Promise<void> } {
    let accept = () => {};
    let refuse = (_: Error) => {};
    this.answer = () =>
      new Promise<void>((resolve, reject) => {
        accept = resolve;
        refuse = reject;
      });
    return {
      accept: async () => {
        accept();
        await settled();
      },
      refuse: async (error) => {
        refuse(error);
        await settled();
      },
    };
  }
}

export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The subscriptions of one process, its servers played by a test. */
export class Rig {
  readonly context: TestContext = testContext();
  readonly grpc = new FakeGrpc();
  readonly xds: Xds;
  readonly variant: Variant;
  private nonce = 0;

  constructor(variant: Variant, options: Partial<XdsOptions> & { readonly ads?: object } = {}) {
    this.variant = variant;
    const { ads = {}, ...over } = options;
    this.xds = createXds({
      context: this.context,
      grpc: this.grpc,
      node: NODE,
      adsConfig: apiSource(variant, ads),
      ...over,
    });
  }

  /** @param configSource null: none */
  subscribe(
    type: DescMessage,
    names: readonly string[] | undefined,
    stat = 'test',
    configSource: unknown = ADS,
    namespaced = false,
  ): Subscriber {
    const subscriber = new Subscriber();
    subscriber.subscription = this.xds.subscriptions.subscribe({
      source: configSource ?? undefined,
      type,
      names,
      namespaced,
      stats: this.context.stats.scope(stat),
      callbacks: subscriber,
    });
    return subscriber;
  }

  get stream(): FakeStream {
    return this.grpc.last;
  }

  stat(name: string): number {
    return this.context.stats.value(name);
  }

  /** Sends a response, with a nonce of its own: `n1`, `n2`, … */
  send(type: DescMessage, sent: Sent, stream: FakeStream = this.stream): void {
    const url = typeUrl(type);
    const {
      changed = {},
      removed = [],
      version = '1',
      nonce = `n${++this.nonce}`,
      ttlMs,
      wrap,
      aliases,
    } = sent;
    const controlPlane = sent.controlPlane === undefined ? undefined : { identifier: sent.controlPlane };
    const ttl = ttlMs === undefined ? undefined : durationFromMs(ttlMs);
    const body = (name: string, text: string | undefined | Any): Any | undefined => {
      if (text === undefined || typeof text !== 'string') return text;
      return anyPack(type, resource(type, name, text));
    };
    const wrapped = Object.entries(changed).map(([name, text]) =>
      create(ResourceSchema, {
        name,
        version,
        ttl,
        resource: body(name, text),
        aliases: [...(aliases?.[name] ?? [])],
      }),
    );
    if (this.variant === 'delta') {
      const common = { systemVersionInfo: version, nonce, typeUrl: url, controlPlane };
      stream.message(
        create(DeltaDiscoveryResponseSchema, {
          ...common,
          resources: wrapped,
          removedResources: [...removed],
        }),
      );
      return;
    }
    const plain = wrap !== true && ttlMs === undefined;
    const resources = plain
      ? Object.entries(changed).flatMap(([name, text]) => body(name, text) ?? [])
      : wrapped.map((one) => anyPack(ResourceSchema, one));
    stream.message(
      create(DiscoveryResponseSchema, { versionInfo: version, nonce, typeUrl: url, controlPlane, resources }),
    );
  }

  /** What was sent since the last call, in short. */
  sent(stream: FakeStream = this.stream): string[] {
    return stream.take().map(describe);
  }
}

const LABELS: Readonly<Record<string, string>> = {
  ClusterLoadAssignment: 'EDS',
  Cluster: 'CDS',
  Listener: 'LDS',
  RouteConfiguration: 'RDS',
  Secret: 'SDS',
  LbEndpoint: 'LEDS',
  VirtualHost: 'VHDS',
};

/** `EDS v1 n1 [a,b]`, `EDS n1 +a -b {a:1}`; with `NACK: …` behind it. */
export function describe(request: DiscoveryRequest | DeltaDiscoveryRequest): string {
  const type = request.typeUrl.slice(request.typeUrl.lastIndexOf('.') + 1);
  const parts = [LABELS[type] ?? type];
  if ('versionInfo' in request) {
    parts.push(`v${request.versionInfo}`);
    if (request.responseNonce !== '') parts.push(request.responseNonce);
    parts.push(`[${[...request.resourceNames].sort().join(',')}]`);
  } else {
    if (request.responseNonce !== '') parts.push(request.responseNonce);
    parts.push(...[...request.resourceNamesSubscribe].sort().map((name) => `+${name}`));
    parts.push(...[...request.resourceNamesUnsubscribe].sort().map((name) => `-${name}`));
    const versions = Object.entries(request.initialResourceVersions).sort();
    if (versions.length > 0)
      parts.push(`{${versions.map(([name, version]) => `${name}:${version}`).join(',')}}`);
  }
  if (request.errorDetail !== undefined)
    parts.push(`NACK ${request.errorDetail.code}: ${request.errorDetail.message}`);
  return parts.join(' ');
}
