import { connect } from 'node:tls';
import {
  clusterConfig,
  clusterRoute,
  HttpUpstream,
  httpManager,
  type JsonObject,
  loadAssignment,
  localAddress,
  rawClient,
  requestText,
  selfSigned,
  type TestProxy,
  text,
} from '@dragoman/testing';
import { type KindName, virtualHost } from '@dragoman/xds-server';
import { type Input, type Parts, sourceOf, type Variant } from './xds-plane.ts';

/** Of each type there are two resources: what happens to one must not touch the other. */
export type Which = 'one' | 'two';
export const BOTH: readonly Which[] = ['one', 'two'];

/** What a resource of a version is made from. */
export interface World {
  readonly variant: Variant;
  /** Answers with `v<version>`. */
  upstreamPort(version: number): number;
}

/** A proxy that is looked at. */
export interface Seen {
  readonly proxy: TestProxy;
  /** How many connections ask it the same, so that every worker is asked. */
  readonly times: number;
}

/** One type of resource. */
export interface ResourceCase {
  readonly name: string;
  readonly kind: KindName;
  /** What its resources are used by, and use. */
  around(world: World): Parts;
  make(world: World, which: Which, version: number): Input;
  /** One that has to be refused. */
  bad(world: World, which: Which): Input;
  /** `v<version>` of the one in use, `none` when there is none. */
  observe(seen: Seen, which: Which): Promise<string>;
  /** The proxy does not serve before it has come. False: it may come at any time. */
  readonly awaited: boolean;
  /** What a user has of it that is removed: Envoy goes on with the last version of some types. */
  readonly removed: 'none' | 'stays';
  /** Counts what was refused of the first of the two. */
  readonly rejections: string;
  /** A responses of the state of the world says that one is gone. */
  readonly whole: boolean;
  /** Of the bootstrap. */
  bootstrap?(world: World): JsonObject;
  /** Why there is no state of the world of it. */
  readonly onlyDelta?: string;
}

/** Upstreams that say their version. */
export class Versions implements AsyncDisposable {
  private readonly upstreams: HttpUpstream[];

  private constructor(upstreams: HttpUpstream[]) {
    this.upstreams = upstreams;
  }

  static async start(count: number): Promise<Versions> {
    const all = Array.from({ length: count }, (_, i) => HttpUpstream.start(text(`v${i}`)));
    return new Versions(await Promise.all(all));
  }

  readonly port = (version: number): number => {
    const upstream = this.upstreams[version];
    if (upstream === undefined) throw new Error(`there is no upstream for version ${version}`);
    return upstream.port;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.upstreams.map((one) => one[Symbol.asyncDispose]()));
  }
}

// --- Parts of configs ---------------------------------------------------------------------------------------------------

const says = (version: number): JsonObject => ({
  match: { prefix: '/' },
  direct_response: { status: 200, body: { inline_string: `v${version}` } },
});

const hosts = (routes: readonly JsonObject[]): JsonObject => ({
  virtual_hosts: [{ name: 'all', domains: ['*'], routes }],
});

const WRONG = { request_headers_to_add: [{ header: { key: ':path', value: 'x' } }] };

/** A listener whose connection manager has `more`; without routes of its own where that brings some. */
function listener(name: string, more: JsonObject, socket: JsonObject = {}): JsonObject {
  const manager = httpManager({ routes: [], manager: { stat_prefix: name } });
  const { route_config, ...config } = manager.typed_config as JsonObject;
  const chain = { filters: [{ ...manager, typed_config: { ...config, ...more } }], ...socket };
  return { name, address: localAddress(), filter_chains: [chain] };
}

const toBoth = hosts(BOTH.map((which) => clusterRoute(`/${which}`, which)));

// --- Observations ----------------------------------------------------------------------------------------------------------

interface Asked {
  readonly listener: string;
  readonly path?: string;
  readonly headers?: readonly string[];
}

/** Some requests, each on a connection of its own; their answer, which has to be the same. */
async function ask({ proxy, times }: Seen, { listener, path = '/', headers = [] }: Asked): Promise<string> {
  const answers = new Set<string>();
  for (let i = 0; i < times; i++) answers.add(await once(proxy, listener, path, headers));
  return [...answers].join(' and ');
}

async function once(
  proxy: TestProxy,
  listener: string,
  path: string,
  headers: readonly string[],
): Promise<string> {
  let client: Awaited<ReturnType<typeof rawClient>>;
  try {
    client = await rawClient({ port: proxy.portOf(listener) });
  } catch {
    return 'none';
  }
  await using connection = client;
  await connection.write(requestText('GET', path, headers));
  const { status, body } = await connection.readResponse();
  return status === 200 ? body.toString() : 'none';
}

/** The subject of the certificate that a listener shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.subject.replace('CN=', '') ?? 'none');
      socket.destroy();
    });
    socket.on('error', () => resolve('none'));
  });
}

const certificates = new Map<string, JsonObject>();

function certificate(subject: string): JsonObject {
  let made = certificates.get(subject);
  if (made === undefined) {
    const { chainPem, keyPem } = selfSigned({ subject: `CN=${subject}` });
    made = { certificate_chain: { inline_string: chainPem }, private_key: { inline_string: keyPem } };
    certificates.set(subject, made);
  }
  return made;
}

// --- The types -----------------------------------------------------------------------------------------------------------

const edsCluster = (which: Which, { variant }: World): JsonObject => ({
  name: which,
  type: 'EDS',
  connect_timeout: '1s',
  eds_cluster_config: { eds_config: sourceOf(variant) },
});

const LDS: ResourceCase = {
  name: 'LDS',
  kind: 'listeners',
  around: () => ({ clusters: [] }),
  make: (_world, which, version) => listener(which, { route_config: hosts([says(version)]) }),
  bad: (_world, which) => listener(which, { route_config: { ...hosts([says(0)]), ...WRONG } }),
  observe: async (seen, which) =>
    seen.proxy.proxy.listeners.some(({ name }) => name === which) ? ask(seen, { listener: which }) : 'none',
  awaited: false,
  removed: 'none',
  rejections: 'listener_manager.lds.update_rejected',
  whole: true,
};

const CDS: ResourceCase = {
  name: 'CDS',
  kind: 'clusters',
  around: () => ({ listeners: [listener('in', { route_config: toBoth })] }),
  make: ({ upstreamPort }, which, version) => clusterConfig(which, upstreamPort(version)),
  bad: (_world, which) => clusterConfig(which, { cluster_type: { name: 'no.such.type' } }),
  observe: (seen, which) => ask(seen, { listener: 'in', path: `/${which}` }),
  awaited: false,
  removed: 'none',
  rejections: 'cluster_manager.cds.update_rejected',
  whole: true,
};

const EDS: ResourceCase = {
  name: 'EDS',
  kind: 'endpoints',
  around: (world) => ({
    clusters: BOTH.map((which) => edsCluster(which, world)),
    listeners: [listener('in', { route_config: toBoth })],
  }),
  make: ({ upstreamPort }, which, version) => loadAssignment(which, [upstreamPort(version)]),
  bad: (_world, which) => ({ ...loadAssignment(which, [1]), policy: { overprovisioning_factor: 0 } }),
  observe: CDS.observe,
  awaited: true,
  removed: 'stays',
  rejections: 'cluster.one.update_rejected',
  whole: false,
};

const RDS: ResourceCase = {
  name: 'RDS',
  kind: 'routes',
  around: ({ variant }) => ({
    clusters: [],
    listeners: BOTH.map((which) =>
      listener(which, { rds: { route_config_name: which, config_source: sourceOf(variant) } }),
    ),
  }),
  make: (_world, which, version) => ({ name: which, ...hosts([says(version)]) }),
  bad: (_world, which) => ({ name: which, ...hosts([says(0)]), ...WRONG }),
  observe: (seen, which) => ask(seen, { listener: which }),
  awaited: true,
  removed: 'stays',
  rejections: 'http.one.rds.one.update_rejected',
  whole: false,
};

/** A scope has the routes of its version. */
const SRDS: ResourceCase = {
  name: 'SRDS',
  kind: 'scopedRoutes',
  around({ variant }) {
    const source = sourceOf(variant);
    const scoped = {
      name: 'scopes',
      scope_key_builder: {
        fragments: [{ header_value_extractor: { name: 'x-scope', index: 0, element_separator: ',' } }],
      },
      rds_config_source: source,
      scoped_rds: { scoped_rds_config_source: source },
    };
    return {
      clusters: [],
      listeners: [listener('in', { scoped_routes: scoped })],
      routes: Array.from({ length: 40 }, (_, version) => ({
        name: `r${version}`,
        ...hosts([says(version)]),
      })),
    };
  },
  make: (_world, which, version) => ({
    name: which,
    route_configuration_name: `r${version}`,
    key: { fragments: [{ string_key: which }] },
  }),
  bad: (_world, which) => ({
    name: which,
    route_configuration_name: 'r0',
    key: { fragments: [{ string_key: which }, { string_key: 'more' }] },
  }),
  observe: (seen, which) => ask(seen, { listener: 'in', headers: [`x-scope: ${which}`] }),
  awaited: true,
  removed: 'none',
  rejections: 'http.in.scoped_rds.scopes.update_rejected',
  whole: true,
};

const hostOf = (host: JsonObject) => virtualHost('r', host as never);

const VHDS: ResourceCase = {
  name: 'VHDS',
  kind: 'virtualHosts',
  around({ variant }) {
    const source = sourceOf(variant);
    return {
      clusters: [],
      listeners: [listener('in', { rds: { route_config_name: 'r', config_source: source } })],
      routes: [{ name: 'r', vhds: { config_source: source } }],
    };
  },
  make: (_world, which, version) =>
    hostOf({ name: which, domains: [`${which}.test`], routes: [says(version)] }),
  bad: (_world, which) => hostOf({ name: which, domains: [`${which}.test`], routes: [says(0)], ...WRONG }),
  observe: (seen, which) => ask(seen, { listener: 'in', headers: [`host: ${which}.test`] }),
  awaited: true,
  removed: 'none',
  rejections: 'http.in.vhds.r.update_rejected',
  whole: false,
  onlyDelta: 'virtual hosts have no service for the state of the world, in Envoy neither',
};

const SDS: ResourceCase = {
  name: 'SDS',
  kind: 'secrets',
  around: ({ variant }) => ({
    clusters: [],
    listeners: BOTH.map((which) => {
      const common = { tls_certificate_sds_secret_configs: [{ name: which, sds_config: sourceOf(variant) }] };
      const tls = {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
        common_tls_context: common,
      };
      const transport_socket = { name: 'envoy.transport_sockets.tls', typed_config: tls };
      return listener(which, { route_config: hosts([says(0)]) }, { transport_socket });
    }),
  }),
  make: (_world, which, version) => ({ name: which, tls_certificate: certificate(`v${version}`) }),
  bad: (_world, which) => ({
    name: which,
    tls_certificate: { ...certificate('v0'), private_key: certificate('v1').private_key },
  }),
  observe: ({ proxy }, which) => shown(proxy.portOf(which)),
  awaited: true,
  removed: 'stays',
  rejections: 'sds.one.update_rejected',
  whole: false,
};

const RTDS: ResourceCase = {
  name: 'RTDS',
  kind: 'runtimes',
  around: () => ({ clusters: [], listeners: [] }),
  make: (_world, which, version) => ({ name: which, layer: { [which]: `v${version}` } }),
  bad: (_world, which) => ({ name: which, layer: { [which]: null } }),
  async observe({ proxy }, which) {
    const { entries } = JSON.parse((await proxy.admin('/runtime')).body.toString()) as {
      readonly entries: Readonly<Record<string, { readonly final_value: string } | undefined>>;
    };
    return entries[which]?.final_value ?? 'none';
  },
  awaited: true,
  removed: 'none',
  rejections: 'runtime.update_rejected',
  whole: false,
  bootstrap: ({ variant }) => ({
    layered_runtime: {
      layers: BOTH.map((name) => ({ name, rtds_layer: { name, rtds_config: sourceOf(variant) } })),
    },
  }),
};

const STRING = 'type.googleapis.com/google.protobuf.StringValue';

const ECDS: ResourceCase = {
  name: 'ECDS',
  kind: 'extensionConfigs',
  around: ({ variant }) => ({
    clusters: [],
    listeners: BOTH.map((which) => {
      const { http_filters } = httpManager({ routes: [] }).typed_config as { http_filters: JsonObject[] };
      const discovery = { config_source: sourceOf(variant), type_urls: [STRING] };
      return listener(which, {
        route_config: hosts([]),
        http_filters: [{ name: which, config_discovery: discovery }, ...http_filters],
      });
    }),
  }),
  make: (_world, which, version) => ({
    name: which,
    typed_config: { '@type': STRING, value: `/ v${version}` },
  }),
  bad: (_world, which) => ({ name: which, typed_config: { '@type': STRING, value: '/ bad' } }),
  observe: (seen, which) => ask(seen, { listener: which }),
  awaited: true,
  removed: 'none',
  rejections: 'extension_config_discovery.http_filter.one.update_rejected',
  whole: false,
};

export const CASES: readonly ResourceCase[] = [LDS, CDS, EDS, RDS, SRDS, VHDS, SDS, RTDS, ECDS];
