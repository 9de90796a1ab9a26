import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get as httpsGet } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { createProxy, type Proxy as RunningProxy, validateBootstrap } from '@dragoman/server';
import { LoadReportServer } from '@dragoman/grpc-testing';
import {
  eventually,
  exchange,
  HttpUpstream,
  RawUpstream,
  rawClient,
  TestAuthority,
  trackLeaks,
} from '@dragoman/testing';
import { createXdsServer, SnapshotCache, snapshot } from '@dragoman/xds-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const root = TestAuthority.root();
/** Where `certs/` of the files is. */
let certificates: string;

beforeAll(() => {
  certificates = mkdtempSync(join(tmpdir(), 'certs-'));
  for (const name of ['domain1', 'domain2']) {
    const { chainPem, keyPem } = root.issue({ subject: `CN=${name}`, san: [{ dns: `${name}.example.com` }] });
    writeFileSync(join(certificates, `${name}.crt.pem`), chainPem);
    writeFileSync(join(certificates, `${name}.key.pem`), keyPem);
  }
});
afterAll(() => rmSync(certificates, { recursive: true }));

const read = (file: string): string =>
  readFileSync(join(EXAMPLES, file), 'utf8').replaceAll('certs/', `${certificates}/`);

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

/** An HTTPS server that answers with what TLS was asked for. */
async function secure(): Promise<AsyncDisposable & { readonly port: number }> {
  const { chainPem, keyPem } = root.issue({ subject: 'CN=service' });
  const server = createServer({ cert: chainPem, key: keyPem }, ({ socket, url }, response) => {
    const { servername, getProtocol } = socket as TLSSocket & { servername?: string | false };
    response.end(`${servername} ${getProtocol.call(socket)} ${url}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A GET over TLS, and the subject of the certificate that was shown. */
async function getSecure(port: number, servername: string): Promise<{ subject: string; body: string }> {
  const request = httpsGet({ port, host: '127.0.0.1', servername, agent: false, rejectUnauthorized: false });
  const [response] = await once(request, 'response');
  const subject = (response.socket as TLSSocket).getPeerX509Certificate()?.subject ?? '';
  return { subject, body: await text(response) };
}

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

async function validates(file: string): Promise<boolean> {
  try {
    const bootstrap = loadConfig({ text: read(file) });
    await validateBootstrap({ bootstrap: bootstrap as never, extensions: EXTENSIONS });
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

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
  'tls-envoy-http-https.yaml': async (start) => {
    await using service = await secure();
    await using proxy = await start({ 'service-https:443': service.port });
    expect(await get(proxy.address().port, '/x')).toEqual({ status: 200, body: 'false TLSv1.3 /x' });
  },
  'tls-sni-envoy-client.yaml': async (start) => {
    await using service = await secure();
    await using proxy = await start({ 'proxy:10000': service.port });
    // Envoy's clients offer TLS 1.2 at most where nothing is said.
    for (const [name, version] of [
      ['domain1', 'TLSv1.2'],
      ['domain2', 'TLSv1.2'],
      ['domain3', 'TLSv1.3'],
    ]) {
      expect(await get(proxy.address().port, `/${name}`)).toEqual({
        status: 200,
        body: `${name}.example.com ${version} /${name}`,
      });
    }
  },
  'tls-sni-envoy.yaml': async (start) => {
    await using one = await named('one');
    await using two = await named('two');
    await using three = await secure();
    await using proxy = await start({
      'service-http0:80': one.port,
      'service-http1:80': two.port,
      'service-https:443': three.port,
    });
    const { port } = proxy.address();
    expect(await getSecure(port, 'domain1.example.com')).toEqual({ subject: 'CN=domain1', body: 'one /' });
    expect(await getSecure(port, 'domain2.example.com')).toEqual({ subject: 'CN=domain2', body: 'two /' });
    expect(await getSecure(port, 'domain3.example.com')).toEqual({
      subject: 'CN=service',
      body: 'domain3.example.com TLSv1.3 /',
    });
  },
  'dynamic-config-cp-envoy.yaml': async (start) => {
    await using service = await named('one');
    const cache = new SnapshotCache();
    const manager = parse(frontProxy(service.port, service.port)).static_resources;
    cache.setSnapshot(
      'test-id',
      snapshot('1', {
        clusters: manager.clusters,
        listeners: manager.listeners.map((listener: object) => ({ ...listener, name: 'in' })),
      }),
    );
    await using plane = createXdsServer({ cache });
    const port = await plane.listen({ port: 0 });
    await using proxy = await start({ 'go-control-plane:18000': port });
    expect(await get(proxy.address('in').port, '/service/1')).toEqual({
      status: 200,
      body: 'one /service/1',
    });
  },
  'load-reporting-service-envoy.yaml': async (start) => {
    await using service = await named('local');
    const server = await new LoadReportServer({
      sendAllClusters: true,
      loadReportingInterval: { nanos: 100_000_000 },
    }).start();
    try {
      await using proxy = await start({ 'http_service:8080': service.port, 'lrs_server:18000': server.port });
      // The first report only says what there is.
      await eventually(() => expect(server.requests.length).toBeGreaterThan(1));
      expect(await get(proxy.address().port, '/service')).toEqual({ status: 200, body: 'local /service' });
      await eventually(() => expect(server.sums['local_service ']).toBe('1/1/0'));
    } finally {
      server.stop();
    }
  },
};

describe.skipIf(!present)('configurations that people run', () => {
  it('each that validates is run below', async () => {
    const valid: string[] = [];
    for (const file of readdirSync(EXAMPLES)) {
      if (file.endsWith('.yaml') && (await validates(file))) valid.push(file);
    }
    expect(valid.sort()).toEqual(Object.keys(RUNS).sort());
  });

  it.each(Object.keys(RUNS))('%s', async (file) => {
    const leaks = trackLeaks();
    await RUNS[file]((backends) =>
      createProxy({ bootstrap: onLoopback(read(file), backends), extensions: EXTENSIONS }),
    );
    await leaks.expectNone();
  });
});
