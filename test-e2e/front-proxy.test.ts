import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@dragoman/api';
import { createProxy, type Proxy as RunningProxy, validateBootstrap } from '@dragoman/server';
import { exchange, HttpUpstream, RawUpstream, rawClient, trackLeaks } from '@dragoman/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { EXTENSIONS } from './support/extensions.ts';

const EXAMPLES = fileURLToPath(new URL('../../shared/conformance/envoy-configs', import.meta.url));
const present = existsSync(EXAMPLES);
const MISSING = `no conformance data at ${EXAMPLES}`;

it('conformance data is there', (context) => {
  if (!present && process.env.CI !== 'true') context.skip(MISSING);
  expect(present, MISSING).toBe(true);
});

/** The envoyproxy front proxy: one listener, two prefix routes, two STRICT_DNS clusters. */
const frontProxy = (one: number, two: number): string => `
static_resources:
  listeners:
  - address:
      socket_address: { address: 127.0.0.1, port_value: 0 }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          codec_type: AUTO
          stat_prefix: ingress_http
          route_config:
            name: local_route
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes:
              - match: { prefix: "/service/1" }
                route: { cluster: service1 }
              - match: { prefix: "/service/2" }
                route: { cluster: service2 }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: service1
    type: STRICT_DNS
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: service1
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: { socket_address: { address: localhost, port_value: ${one} } }
  - name: service2
    type: STRICT_DNS
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: service2
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: { socket_address: { address: localhost, port_value: ${two} } }
admin:
  address:
    socket_address: { address: 127.0.0.1, port_value: 0 }
`;

const named = (name: string): Promise<HttpUpstream> =>
  HttpUpstream.start(({ request, response }) => {
    response.end(`${name} ${request.path}`);
  });

const get = async (port: number, path: string): Promise<{ status: number; body: string }> => {
  await using client = await rawClient({ port });
  await client.write(`GET ${path} HTTP/1.1\r\nhost: front\r\n\r\n`);
  const response = await client.readResponse();
  return { status: response.status, body: response.body.toString() };
};

describe('front proxy', () => {
  it('routes two prefixes to two clusters found by name', async () => {
    const leaks = trackLeaks();
    {
      await using one = await named('one');
      await using two = await named('two');
      await using proxy = await createProxy({
        bootstrap: frontProxy(one.port, two.port),
        extensions: EXTENSIONS,
      });
      const { port } = proxy.address();
      expect(await get(port, '/service/1')).toEqual({ status: 200, body: 'one /service/1' });
      expect(await get(port, '/service/2?x=1')).toEqual({ status: 200, body: 'two /service/2?x=1' });
      expect((await get(port, '/service/3')).status).toBe(404);
      expect(await get(proxy.adminAddress?.port ?? 0, '/ready')).toMatchObject({
        status: 200,
        body: 'LIVE\n',
      });
      const clusters = (await get(proxy.adminAddress?.port ?? 0, '/clusters')).body;
      expect(clusters).toContain(`service1::127.0.0.1:${one.port}::rq_total::1`);
      const stats = (await get(proxy.adminAddress?.port ?? 0, '/stats?usedonly')).body;
      expect(stats).toContain('cluster.service2.upstream_rq_200: 1\n');
      expect(stats).toContain('http.ingress_http.downstream_rq_2xx: 2\n');
      expect(stats).toContain('http.ingress_http.no_route: 1\n');
    }
    await leaks.expectNone();
  });
});

interface Socket {
  address: string;
  port_value: number;
}

/** Moves listeners and admin to free loopback ports, and endpoints to those of `backends`, by their name and port in the file. */
function onLoopback(text: string, backends: Readonly<Record<string, number>>): string {
  const config = parse(text);
  const visit = (value: unknown, endpoint: boolean): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, endpoint);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, part] of Object.entries(value)) {
        if (key === 'socket_address') move(part as Socket, endpoint);
        else visit(part, endpoint || key === 'endpoint');
      }
    }
  };
  const move = (socket: Socket, endpoint: boolean): void => {
    const name = `${socket.address}:${socket.port_value}`;
    if (endpoint && backends[name] === undefined) throw new Error(`no backend for ${name}`);
    socket.port_value = endpoint ? backends[name] : 0;
    socket.address = endpoint ? 'localhost' : '127.0.0.1';
  };
  visit(config, false);
  return JSON.stringify(config);
}

/** Undefined when the file validates, else what is wrong with it. */
async function refusal(file: string): Promise<string | undefined> {
  try {
    const bootstrap = loadConfig({ text: readFileSync(join(EXAMPLES, file), 'utf8') });
    await validateBootstrap({ bootstrap: bootstrap as never, extensions: EXTENSIONS });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Every file that is refused, and what it is refused for. The list shrinks as parts land. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'cache-envoy.yaml': ['envoy.filters.http.cache'],
  'cors-backend-envoy.yaml': ['envoy.filters.http.cors'],
  'cors-frontend-envoy.yaml': ['envoy.filters.http.cors'],
  'datadog-tracing-envoy.yaml': ['tracing'],
  'dynamic-config-cp-envoy.yaml': ['dynamic_resources', 'http2_protocol_options'],
  'fault-injection-envoy.yaml': ['envoy.filters.http.fault', 'disk_layer'],
  'jaeger-tracing-envoy.yaml': ['tracing'],
  'jaeger-tracing-service1-envoy-jaeger.yaml': ['tracing'],
  'jaeger-tracing-service2-envoy-jaeger.yaml': ['tracing'],
  'kafka-envoy.yaml': ['KafkaBroker'],
  'load-reporting-service-envoy.yaml': ['cluster_manager', 'http2_protocol_options'],
  'lua-cluster-specifier-envoy.yaml': ['inline_cluster_specifier_plugin'],
  'lua-envoy.yaml': ['envoy.extensions.filters.http.lua'],
  'mysql-envoy.yaml': ['MySQLProxy'],
  'opentelemetry-envoy-1.yaml': ['tracing', 'http2_protocol_options'],
  'opentelemetry-envoy-2.yaml': ['tracing', 'http2_protocol_options'],
  'opentelemetry-envoy-front-proxy.yaml': ['tracing', 'http2_protocol_options'],
  'postgres-envoy.yaml': ['PostgresProxy'],
  'redis-envoy.yaml': ['envoy.filters.network.redis_proxy', 'maglev'],
  'skywalking-envoy-front-proxy.yaml': ['tracing', 'http2_protocol_options'],
  'tls-envoy-http-https.yaml': ['envoy.transport_sockets.tls'],
  'tls-sni-envoy-client.yaml': ['envoy.transport_sockets.tls'],
  'tls-sni-envoy.yaml': ['envoy.transport_sockets.tls', 'envoy.filters.listener.tls_inspector'],
  'wasm-cc-envoy.yaml': ['envoy.filters.http.wasm'],
};
/** A problem says where it is and names something that is not there yet. Nothing else may be wrong with files that people run. */
const NOT_YET =
  /^\d+:\d+: [^ ]+: .*(is not part of this proxy|not supported yet|not built yet|unknown type envoy\.)/;

/** What the runnable files are asked. A file that begins to validate needs a line here: the test below says so. */
const RUNS: Readonly<
  Record<string, (start: (backends: Record<string, number>) => Promise<RunningProxy>) => Promise<void>>
> = {
  'front-proxy-service-envoy.yaml': async (start) => {
    await using service = await named('one');
    await using proxy = await start({ 'service1:8080': service.port });
    expect(await get(proxy.address().port, '/service/1/x')).toEqual({
      status: 200,
      body: 'one /service/1/x',
    });
    expect((await get(proxy.address().port, '/service/2')).status).toBe(404);
  },
  'front-proxy-service-envoy-2.yaml': async (start) => {
    await using service = await named('two');
    await using proxy = await start({ 'service2:8080': service.port });
    expect(await get(proxy.address().port, '/service/2')).toEqual({ status: 200, body: 'two /service/2' });
  },
  'tls-envoy-https-passthrough.yaml': async (start) => {
    // What passes through is opaque: any bytes stand for TLS.
    await using service = await RawUpstream.start(async (connection) => {
      await connection.write(`server hello to ${await connection.readUntil('.')}`);
      connection.end();
    });
    await using proxy = await start({ 'service-https:443': service.port });
    expect(await exchange({ port: proxy.address().port }, '\x16\x03\x01.')).toBe(
      'server hello to \x16\x03\x01.',
    );
  },
};

describe.skipIf(!present)('configurations that people run', () => {
  const refusals = new Map<string, string | undefined>();

  beforeAll(async () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
    for (const file of files.sort()) refusals.set(file, await refusal(file));
  });

  it('each that validates is run below', () => {
    const valid = [...refusals].filter(([, problem]) => problem === undefined).map(([file]) => file);
    expect(valid).toEqual(Object.keys(RUNS).sort());
  });

  it('each that is refused is refused for what is not there yet, and says where', () => {
    const refused = [...refusals].filter(([, problem]) => problem !== undefined);
    expect(refused.map(([file]) => file)).toEqual(Object.keys(REFUSED).sort());
    for (const [file, problem] of refused) {
      for (const part of REFUSED[file]) expect(problem, file).toContain(part);
      for (const line of (problem as string).split('\n')) expect(line, file).toMatch(NOT_YET);
    }
  });

  it.each(Object.keys(RUNS))('%s', async (file) => {
    const text = readFileSync(join(EXAMPLES, file), 'utf8');
    const leaks = trackLeaks();
    await RUNS[file]((backends) =>
      createProxy({ bootstrap: onLoopback(text, backends), extensions: EXTENSIONS }),
    );
    await leaks.expectNone();
  });
});
