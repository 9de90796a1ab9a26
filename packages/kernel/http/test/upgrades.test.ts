import type { RequestHeaders, RouteTable, TerminalHttpStream } from '@dragoman/core';
import { ConfigError, NO_POLICIES } from '@dragoman/core';
import { type JsonObject, TestDrain } from '@dragoman/testing';
import { describe, expect, it, test } from 'vitest';
import { ManagerRig, ok, respond, type RigOptions } from './manager-rig.ts';
import { request, streamInfo, tableOfRoutes } from './routes-support.ts';

const SWITCHED = { connection: 'upgrade', upgrade: 'websocket' };

/** A terminal filter that grants every upgrade, and sends back what it gets. */
const echo = {
  headers: (stream: TerminalHttpStream, headers: RequestHeaders) =>
    headers.has('upgrade') ? stream.sendHeaders(respond(101, SWITCHED), false) : ok(stream),
  body: (stream: TerminalHttpStream, chunk: Buffer) => stream.sendBody(chunk, false, false),
};

function upgrade(rig: ManagerRig, type = 'websocket', connection = 'Upgrade'): Promise<ManagerRig> {
  return rig.request('GET /ws HTTP/1.1', `connection: ${connection}`, `upgrade: ${type}`);
}

function routes(...configs: readonly JsonObject[]): readonly JsonObject[] {
  return [{ match: { prefix: '/' }, route: { cluster: 'c', upgrade_configs: configs } }];
}

const manager = (...configs: readonly JsonObject[]) => ({ upgrade_configs: configs });

describe('an upgrade', () => {
  const on = { upgrade_type: 'websocket' };
  const off = { upgrade_type: 'websocket', enabled: false };
  test.each<[name: string, ofManager: JsonObject[], ofRoute: JsonObject[], asked: string, allowed: boolean]>([
    ['named by nobody', [], [], 'websocket', false],
    ['named by the connection manager', [on], [], 'websocket', true],
    ['turned off by the connection manager', [off], [], 'websocket', false],
    ['named by the route alone', [], [on], 'websocket', true],
    ['turned on by the route', [off], [on], 'websocket', true],
    ['turned off by the route', [on], [off], 'websocket', false],
    ['turned off by both', [off], [off], 'websocket', false],
    ['in other letters', [{ upgrade_type: 'WebSocket' }], [], 'WEBSOCKET', true],
    ['in other letters, by the route', [], [{ upgrade_type: 'WebSocket' }], 'wEBSOCKET', true],
    ['of another type', [on], [on], 'tls', false],
    ['of two types at once', [on], [], 'websocket, tls', false],
    ['of a type of its own', [{ upgrade_type: 'Foo' }], [], 'foo', true],
  ])('%s', async (_, ofManager, ofRoute, asked, allowed) => {
    const rig = new ManagerRig({
      manager: manager(...ofManager),
      routes: routes(...ofRoute),
      upstream: echo,
    });
    await upgrade(rig, asked);
    expect(rig.stat('downstream_cx_upgrades_total')).toBe(allowed ? 1 : 0);
    expect(rig.stat('downstream_cx_upgrades_active')).toBe(allowed ? 1 : 0);
    expect(rig.stat('downstream_rq_ws_on_non_ws_route')).toBe(allowed ? 0 : 1);
    expect(rig.client.text).toMatch(allowed ? /^HTTP\/1.1 101 / : /^HTTP\/1.1 403 /);
    if (allowed) return;
    expect(rig.response.header('connection')).toBe('close');
    expect(rig.logged).toEqual(['403 upgrade_failed -']);
    expect(rig.closed).toBe(true);
  });

  it('is refused by routes that do not forward', async () => {
    const rig = new ManagerRig({
      routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
      upstream: echo,
    });
    await upgrade(rig);
    expect(rig.logged).toEqual(['403 upgrade_failed -']);
  });

  it('without a route goes the way of every request', async () => {
    const rig = new ManagerRig({ routes: [], upstream: { headers: (stream) => ok(stream) } });
    await upgrade(rig);
    expect(rig.requests).toHaveLength(1);
    expect(rig.stat('downstream_rq_ws_on_non_ws_route')).toBe(0);
    expect(rig.stat('downstream_cx_upgrades_total')).toBe(0);
  });

  it('is what CONNECT counts as; without a route for it, it goes the way of every request', async () => {
    const rig = new ManagerRig({
      manager: { ...manager({ upgrade_type: 'CONNECT' }), strip_any_host_port: true },
      routes: [],
      upstream: { headers: (stream) => stream.sendHeaders(respond(200, {}), false) },
    });
    await rig.send('CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n');
    expect([rig.requests[0]?.authority, rig.requests[0]?.path]).toEqual(['db.test', '']);
    expect(rig.stat('downstream_cx_upgrades_total')).toBe(1);
    expect(rig.client.text).toMatch(/^HTTP\/1.1 200 OK\r\n(?!.*(transfer-encoding|content-length))/s);
  });

  test.each([
    ['kept', {}, 'db.test:5432', 'db.test:5432', 'db.test:5432'],
    [
      'taken from routes, and given back',
      { strip_any_host_port: true },
      'db.test:5432',
      'db.test',
      'db.test:5432',
    ],
    ['of an IPv6 address', { strip_any_host_port: true }, '[::1]:443', '[::1]', '[::1]:443'],
    [
      'of another listener',
      { strip_matching_host_port: true },
      'db.test:5432',
      'db.test:5432',
      'db.test:5432',
    ],
  ])('CONNECT has its port upstream: %s', async (_, host, target, seen, sent) => {
    const found: string[] = [];
    const rig = new ManagerRig({
      manager: { ...manager({ upgrade_type: 'CONNECT' }), ...host },
      routes: [{ match: { connect_matcher: {} }, route: { cluster: 'c' } }],
      upstream: {
        headers: (stream, headers) => {
          found.push(headers.authority);
          stream.route?.finalizeRequestHeaders(headers, stream.info);
          found.push(headers.authority);
        },
      },
    });
    await rig.send(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n\r\n`);
    expect(found).toEqual([seen, sent]);
  });

  it('is none without Connection: upgrade', async () => {
    const rig = new ManagerRig();
    await upgrade(rig, 'websocket', 'keep-alive');
    expect([rig.response.status, rig.requests[0]?.has('upgrade')]).toEqual([200, false]);
  });

  it('keeps its headers on the way up, and gets those of the answer', async () => {
    const rig = new ManagerRig({ manager: manager(on), upstream: echo });
    await upgrade(rig, 'websocket', 'keep-alive, Upgrade');
    expect(rig.requests[0]?.get('connection')).toBe('keep-alive, Upgrade');
    expect(rig.client.text).toMatch(/\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
    expect(rig.client.text).not.toContain('transfer-encoding');
  });
});

describe('a switched stream', () => {
  const options: RigOptions = { manager: manager({ upgrade_type: 'websocket' }), upstream: echo };
  const start = async (more: RigOptions = {}) => upgrade(new ManagerRig({ ...options, ...more }));

  it('carries bytes both ways, and counts them', async () => {
    const rig = await start();
    await rig.send('ping', 'GET / HTTP/1.1\r\n\r\n');
    expect(rig.client.text).toMatch(/\r\n\r\npingGET \/ HTTP\/1.1\r\n\r\n$/);
    rig.pair.client.close('flush');
    await rig.run();
    expect(rig.logged).toEqual(['101 downstream_remote_disconnect DC']);
    const { info } = rig.lastLog;
    expect([info.bytesReceived, info.bytesSent]).toEqual([22, 22]);
    expect(rig.stat('downstream_cx_upgrades_active')).toBe(0);
    expect(rig.stat('downstream_cx_upgrades_total')).toBe(1);
    expect(rig.stat('downstream_rq_1xx')).toBe(1);
    expect(rig.upstream.at(-1)).toBe('complete');
  });

  it('gets what the client sent before the answer only after it', async () => {
    let granted: (() => void) | undefined;
    const rig = new ManagerRig({
      ...options,
      upstream: {
        ...echo,
        headers: (stream) => {
          granted = () => stream.sendHeaders(respond(101, SWITCHED), false);
        },
      },
    });
    await upgrade(rig);
    await rig.send('early');
    expect(rig.upstream).toEqual(['GET /ws']);
    granted?.();
    await rig.run();
    expect(rig.upstream).toEqual(['GET /ws', 'body:early']);
    expect(rig.client.text.endsWith('\r\n\r\nearly')).toBe(true);
  });

  test.each([
    ['200', 200, {}],
    ['200 with the headers of a switch', 200, SWITCHED],
    ['403', 403, {}],
  ])('never begins with %s: what follows the request is dropped', async (_, status, headers) => {
    const rig = new ManagerRig({
      ...options,
      upstream: {
        headers: (stream) => stream.sendHeaders(respond(status, { ...headers, 'content-length': '0' }), true),
      },
    });
    await rig.send(
      'GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nGET /evil HTTP/1.1\r\nhost: a\r\n\r\n',
    );
    expect(rig.upstream).toEqual(['GET /ws', 'complete']);
    expect([rig.response.status, rig.response.header('connection')?.includes('close')]).toEqual([
      status,
      true,
    ]);
    expect(rig.closed).toBe(true);
  });

  it('ends after stream_idle_timeout without a byte', async () => {
    const rig = await start({
      manager: { ...manager({ upgrade_type: 'websocket' }), stream_idle_timeout: '10s' },
    });
    await rig.advance(9000);
    await rig.send('x');
    await rig.advance(9000);
    expect(rig.closed).toBe(false);
    await rig.advance(1000);
    expect(rig.closed).toBe(true);
    expect(rig.logged).toEqual(['101 stream_idle_timeout SI']);
  });

  it('stops reading when its receiver does', async () => {
    const rig = new ManagerRig({
      ...options,
      upstream: { ...echo, body: () => false },
    });
    await upgrade(rig);
    await rig.send('x');
    expect(rig.pair.server.readingPaused).toBe(true);
    rig.streams[0]?.resumeRequestBody();
    await rig.run();
    expect(rig.pair.server.readingPaused).toBe(false);
  });

  it('goes on through a drain', async () => {
    const drain = new TestDrain();
    drain.start();
    const rig = await start({ context: { drain } });
    expect(rig.client.text).toMatch(/^HTTP\/1.1 101 /);
    expect(rig.client.text).not.toContain('close');
    await rig.advance(10_000);
    await rig.send('still');
    expect([rig.client.text.endsWith('still'), rig.closed]).toEqual([true, false]);
  });
});

describe('filters of an upgrade', () => {
  it('take the place of all others', async () => {
    const seen: string[] = [];
    const filter = (name: string) => ({ onRequestHeaders: () => void seen.push(name) });
    const rig = new ManagerRig({
      filters: { plain: filter('plain'), special: filter('special') },
      manager: {
        http_filters: [{ name: 'plain' }, { name: 'terminal' }],
        upgrade_configs: [
          { upgrade_type: 'websocket', filters: [{ name: 'special' }, { name: 'terminal' }] },
        ],
      },
      upstream: echo,
    });
    await rig.request();
    await upgrade(rig);
    expect(seen).toEqual(['plain', 'special']);
  });

  test.each<[name: string, configs: JsonObject[], path: string, text: string]>([
    [
      'a type twice',
      [{ upgrade_type: 'a' }, { upgrade_type: 'A' }],
      'upgrade_configs[1].upgrade_type',
      'twice',
    ],
    ['no type', [{}], 'upgrade_configs[0].upgrade_type', 'empty'],
    [
      'a chain without an end',
      [{ upgrade_type: 'a', filters: [{ name: 'plain' }] }],
      'upgrade_configs[0].filters[0]',
      'terminal',
    ],
    [
      'an unknown filter',
      [{ upgrade_type: 'a', filters: [{ name: 'nobody' }, { name: 'terminal' }] }],
      'upgrade_configs[0].filters[0]',
      'nobody',
    ],
  ])('are refused with %s', (_, configs, path, text) => {
    const error = fails(() => new ManagerRig({ filters: { plain: {} }, manager: manager(...configs) }));
    expect(error.problems.map((problem) => problem.path).join()).toContain(path);
    expect(error.message).toContain(text);
  });
});

describe('upgrade_configs of a route', () => {
  test.each<[name: string, config: string, path: string, text: string]>([
    [
      'a type twice',
      '[{ upgrade_type: a }, { upgrade_type: A }]',
      'upgrade_configs[1].upgrade_type',
      'twice',
    ],
    [
      'connect_config of another type',
      '[{ upgrade_type: websocket, connect_config: {} }]',
      'upgrade_configs[0].connect_config',
      'CONNECT',
    ],
    [
      'the PROXY protocol',
      '[{ upgrade_type: CONNECT, connect_config: { proxy_protocol_config: {} } }]',
      'upgrade_configs[0].connect_config.proxy_protocol_config',
      'not supported yet',
    ],
  ])('are refused with %s', (_, config, path, text) => {
    const error = fails(() => compiled(config));
    expect(error.problems[0]?.path).toContain(path);
    expect(error.message).toContain(text);
  });

  test.each([
    ['nothing', '[]', NO_POLICIES.upgrades],
    [
      'types',
      '[{ upgrade_type: A }, { upgrade_type: b, enabled: false }]',
      {
        enabled: [
          ['a', true],
          ['b', false],
        ],
        terminate: undefined,
      },
    ],
    ['CONNECT', '[{ upgrade_type: connect }]', { enabled: [['connect', true]], terminate: undefined }],
    [
      'CONNECT that ends here',
      '[{ upgrade_type: CONNECT, connect_config: {} }]',
      { enabled: [['connect', true]], terminate: { allowPost: false } },
    ],
    [
      'CONNECT and POST that end here',
      '[{ upgrade_type: CONNECT, connect_config: { allow_post: true } }]',
      { enabled: [['connect', true]], terminate: { allowPost: true } },
    ],
  ])('are read: %s', (_, config, expected) => {
    const { action } = compiled(config);
    const upgrades = action.kind === 'forward' ? action.policies.upgrades : undefined;
    expect(upgrades && { ...upgrades, enabled: [...upgrades.enabled] }).toEqual(expected);
  });

  function compiled(config: string) {
    const table: RouteTable = tableOfRoutes(
      `[{ match: { prefix: / }, route: { cluster: a, upgrade_configs: ${config} } }]`,
    );
    const route = table.match(request('/'), streamInfo(), 0);
    if (route === undefined) throw new Error('no route');
    return route;
  }
});

function fails(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
