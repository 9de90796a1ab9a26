import { ConfigError } from '@dragoman/core';
import { createProxy, type Proxy as RunningProxy } from '@dragoman/server';
import { HttpUpstream, rawClient, RecordingLoggers, text } from '@dragoman/testing';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './support/config.ts';
import { EXTENSIONS } from './support/extensions.ts';
import { HostileMessages } from './support/hostile-messages.ts';

/** `CONFIG_ATTACKS=500:7 npx vitest run test-e2e/config-attacks.test.ts`: more of them, from another seed. */
const [RUNS = 20, SEED = 5] = (process.env.CONFIG_ATTACKS ?? '20:5').split(':').map(Number);

/** What an engine says of code that did not look: a ConfigError with such a text hides a bug. */
const BUG =
  /Cannot (read|set) propert|Cannot (convert|mix|destructure)|is not (a function|iterable|defined|a constructor)|undefined \(|\[object Object\]|call stack|Invalid (regular|array|string|count|time)|out of range$|BigInt/;

const onRoute = (fields: Message): Message =>
  httpListener({ routes: [prefixRoute('/', 'upstream', fields)] });
const onHost = (fields: Message): Message =>
  httpListener({
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [prefixRoute('/', 'upstream')], ...fields }],
  });
const onManager = (manager: Message): Message => httpListener({ manager });

/** Where a message stands in a listener. */
const PLACES: readonly (readonly [typeName: string, where: string, put: (value: unknown) => Message])[] = [
  ['envoy.config.route.v3.RetryPolicy', 'of a route', (value) => onRoute({ retry_policy: value })],
  ['envoy.config.route.v3.RetryPolicy', 'of a virtual host', (value) => onHost({ retry_policy: value })],
  ['envoy.config.route.v3.HedgePolicy', '', (value) => onRoute({ hedge_policy: value })],
  ['envoy.config.route.v3.RouteAction.RequestMirrorPolicy', '', (value) => onRoute({ request_mirror_policies: [value] })],
  ['envoy.config.route.v3.InternalRedirectPolicy', '', (value) => onRoute({ internal_redirect_policy: value })],
  ['envoy.config.route.v3.RouteAction.HashPolicy', '', (value) => onRoute({ hash_policy: [value] })],
  ['envoy.config.route.v3.RateLimit', '', (value) => onRoute({ rate_limits: [value] })],
  ['envoy.config.route.v3.RouteAction.UpgradeConfig', '', (value) => onRoute({ upgrade_configs: [value] })],
  ['envoy.config.route.v3.RouteAction.MaxStreamDuration', '', (value) => onRoute({ max_stream_duration: value })],
  ['envoy.config.route.v3.WeightedCluster', '', (value) => httpListener({ routes: [{ match: { prefix: '/' }, route: { weighted_clusters: value } }] })],
  ['envoy.config.route.v3.ClusterSpecifierPlugin', '', (value) => httpListener({ routes: [{ match: { prefix: '/' }, route: { inline_cluster_specifier_plugin: value } }] })],
  ['envoy.config.route.v3.RouteAction', '', (value) => httpListener({ routes: [{ match: { prefix: '/' }, route: value }] })],
  ['envoy.config.route.v3.RouteMatch', '', (value) => httpListener({ routes: [{ match: value, route: { cluster: 'upstream' } }] })],
  ['envoy.config.route.v3.RedirectAction', '', (value) => httpListener({ routes: [{ match: { prefix: '/' }, redirect: value }] })],
  ['envoy.config.route.v3.DirectResponseAction', '', (value) => httpListener({ routes: [{ match: { prefix: '/' }, direct_response: value }] })],
  ['envoy.config.route.v3.Route', '', (value) => httpListener({ routes: [value as Message] })],
  ['envoy.config.route.v3.VirtualHost', '', (value) => httpListener({ virtualHosts: [value as Message] })],
  ['xds.type.matcher.v3.Matcher', 'of routes', (value) => httpListener({ virtualHosts: [{ name: 'v', domains: ['*'], matcher: value }] })],
  ['xds.type.matcher.v3.Matcher', 'of filter chains', (value) => ({ ...onRoute({}), filter_chain_matcher: value })],
  ['envoy.config.route.v3.RouteConfiguration', '', (value) => onManager({ route_config: value })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes', '', (value) => onManager({ route_config: undefined, scoped_routes: value })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig', '', (value) => onManager({ local_reply_config: value })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions', '', (value) => onManager({ access_log_options: value })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig', '', (value) => onManager({ upgrade_configs: [value] })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig', '', (value) => onManager({ proxy_status_config: value })],
  ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig', '', (value) => onManager({ internal_address_config: value })],
  ['envoy.config.core.v3.Http1ProtocolOptions', '', (value) => onManager({ http_protocol_options: value })],
  ['envoy.config.core.v3.HttpProtocolOptions', '', (value) => onManager({ common_http_protocol_options: value })],
  ['envoy.config.accesslog.v3.AccessLogFilter', '', (value) => onManager({ access_log: [{ name: 'envoy.access_loggers.file', filter: value, typed_config: { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path: '/dev/null' } }] })],
  ['envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation', '', (value) => onManager({ early_header_mutation_extensions: [{ name: 'x', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation', ...(value as object) } }] })],
  ['envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig', '', (value) => onManager({ original_ip_detection_extensions: [{ name: 'x', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig', ...(value as object) } }] })],
  ['envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', '', (value) => onManager({ original_ip_detection_extensions: [{ name: 'x', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', ...(value as object) } }] })],
]; // biome-ignore format: a table

const REQUESTS = [
  'GET /a/b?x=1&y HTTP/1.1\r\nhost: a\r\ncookie: a=b\r\nconnection: close\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc',
  'GET /%2e%2e//\xff HTTP/1.1\r\nhost: nowhere:1\r\nx-forwarded-for: x\r\nx: \xff\r\nconnection: close\r\n\r\n',
];

const messages = new HostileMessages(EXTENSIONS);
const faults: unknown[] = [];
const record = (fault: unknown): void => {
  faults.push(fault);
};
let upstream: HttpUpstream;
let accepted = 0;
let refused = 0;

beforeAll(async () => {
  upstream = await HttpUpstream.start(text('ok'));
});
afterAll(() => upstream.stop());
beforeEach(() => {
  faults.length = 0;
  process.on('unhandledRejection', record);
  process.on('uncaughtExceptionMonitor', record);
});
afterEach(() => {
  process.off('unhandledRejection', record);
  process.off('uncaughtExceptionMonitor', record);
});

/** A proxy with this listener; undefined when it is refused as configurations have to be. */
async function start(listener: Message, loggers: RecordingLoggers): Promise<RunningProxy | undefined> {
  try {
    const proxy = await createProxy({
      bootstrap: JSON.stringify(bootstrap([listener], [cluster('upstream', [upstream.port])])),
      extensions: EXTENSIONS,
      log: { logger: (name) => loggers.logger(name), loggers: () => [], setLevel() {} },
    });
    accepted++;
    return proxy;
  } catch (error) {
    refused++;
    if (!(error instanceof ConfigError)) throw error;
    for (const { path, message } of error.problems) {
      expect(path, message).not.toBe('');
      expect(message).not.toBe('');
      expect(message, path).not.toMatch(BUG);
    }
    return undefined;
  }
}

async function answers(port: number, request: string): Promise<void> {
  await using client = await rawClient({ port });
  await client.write(request);
  const all = await client.readUntilClose();
  // Answered once, or cut where the configuration has a time that is over at once.
  expect(all.split('\r\n\r\n')[0]).toMatch(/^(HTTP\/1\.1 \d{3} .*)?/);
  expect(all.match(/^HTTP\/1\.1 [2-5]\d\d/gm)?.length ?? 0).toBeLessThan(2);
}

describe('a configuration of hostile values is refused with its places, or serves', () => {
  it.each(PLACES)('%s %s', { timeout: 120_000 }, async (typeName, _where, put) => {
    await fc.assert(
      fc.asyncProperty(messages.of(typeName), async (value) => {
        const loggers = new RecordingLoggers();
        const proxy = await start(put(value), loggers);
        if (proxy === undefined) return;
        try {
          for (const request of REQUESTS) await answers(proxy.address('http').port, request);
          expect(loggers.lines.filter((line) => /^\w+ (error|critical):/.test(line))).toEqual([]);
          expect(faults).toEqual([]);
        } finally {
          await proxy.close();
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  it('some of them are refused, and some serve', () => {
    expect(accepted).toBeGreaterThan(10 * RUNS);
    expect(refused).toBeGreaterThan(10 * RUNS);
  });
});
