import { constants } from 'node:crypto';
import { once } from 'node:events';
import { type ConnectionOptions, createSecureContext, TLSSocket } from 'node:tls';
import { readLoose, SecretSchema } from '@dragoman/api';
import {
  DAY_MS,
  FakeClock,
  FakeDynamicResources,
  TestAuthority,
  type TestCertificate,
  within,
} from '@dragoman/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SessionCache } from '../src/client/session-cache.ts';
import { SessionStore } from '../src/server/session-store.ts';
import { type Config, inline } from './support/config.ts';
import { nodeClient, rawServer } from './support/foreign.ts';
import { ClientScene, cleanUp, type End, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const between = root.intermediate();
const server = root.issue({ subject: 'CN=server', san: [{ dns: 'a.example' }, { dns: 'b.example' }] });
const rsa = root.issue({ subject: 'CN=rsa', key: 'rsa2048', san: [{ dns: 'a.example' }] });
const client = between.issue({ subject: 'CN=client' });
const trusted = { trusted_ca: { inline_string: root.pem } };
const only = (version: string): Config => ({
  tls_minimum_protocol_version: version,
  tls_maximum_protocol_version: version,
});
const VERSIONS = ['TLSv1_2', 'TLSv1_3'] as const;

afterEach(cleanUp);

/** A connection of Node's client, and the session that it may come back with. */
async function visit(
  scene: ServerScene,
  options: ConnectionOptions,
  session?: Buffer,
): Promise<{ readonly reused: boolean; readonly session: Buffer | undefined; readonly end: End }> {
  let given: Buffer | undefined;
  const count = scene.ends.length;
  const socket = await nodeClient(scene.port, { servername: 'a.example', ...options, session }, (made) => {
    made.on('session', (one: Buffer) => {
      given = one;
    });
  });
  const end = await scene.end(count);
  await end.untilReady();
  socket.resume();
  end.connection.writeText('x');
  await within(once(socket, 'data'), 'an answer');
  const reused = socket.isSessionReused();
  socket.destroy();
  await end.untilClosed();
  return { reused, session: given, end };
}

const OLD: ConnectionOptions = { maxVersion: 'TLSv1.2' };
const NO_TICKETS: ConnectionOptions = { ...OLD, secureOptions: constants.SSL_OP_NO_TICKET };

describe('downstream, a session', () => {
  it.each<[string, Config, ConnectionOptions, boolean]>([
    ['is resumed by a ticket with TLS 1.3', {}, {}, true],
    ['is resumed by a ticket with TLS 1.2', {}, OLD, true],
    ['is resumed by its id where the client takes no tickets', {}, NO_TICKETS, true],
    [
      'is resumed by its id where there are no tickets',
      { disable_stateless_session_resumption: true },
      OLD,
      true,
    ],
    [
      'is not resumed with TLS 1.3 without tickets',
      { disable_stateless_session_resumption: true },
      {},
      false,
    ],
    ['is not resumed by its id', { disable_stateful_session_resumption: true }, NO_TICKETS, false],
    ['is resumed by a ticket all the same', { disable_stateful_session_resumption: true }, OLD, true],
    [
      'is not resumed at all',
      { disable_stateful_session_resumption: true, disable_stateless_session_resumption: true },
      OLD,
      false,
    ],
  ])('%s', async (_, config, options, expected) => {
    const scene = await ServerScene.start({
      ...config,
      common_tls_context: { tls_certificates: [inline(server)] },
    });
    const first = await visit(scene, options);
    expect(first.reused).toBe(false);
    const second = await visit(scene, options, first.session);
    expect(second.reused).toBe(expected);
    expect(scene.ssl('session_reused')).toBe(expected ? 1 : 0);
    expect(scene.ssl('handshake')).toBe(2);
    const { tls } = second.end.info;
    if (expected && options !== OLD && options.maxVersion !== undefined) {
      expect(tls?.sessionId).toMatch(/^[0-9a-f]{64}$/);
      expect(tls?.sessionId).toBe(first.end.info.tls?.sessionId);
    }
  });

  it.each([
    ['on another worker', 1, {}, true],
    ['not in another process', 2, {}, false],
    ['not on another worker where clients show certificates', 1, { validation_context: trusted }, false],
  ] as const)('is resumed %s', async (_, otherKey, more, expected) => {
    const config = { common_tls_context: { tls_certificates: [inline(server)], ...more } };
    const here = await ServerScene.start(config, { processKey: new Uint8Array(48).fill(1) });
    const there = await ServerScene.start(config, { processKey: new Uint8Array(48).fill(otherKey) });
    const first = await visit(here, {});
    expect((await visit(there, {}, first.session)).reused).toBe(expected);
  });

  it('begins with either certificate, and goes on with the other', async () => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [inline(server), inline(rsa)] },
    });
    const first = await visit(scene, { sigalgs: 'rsa_pss_rsae_sha256' });
    expect((await visit(scene, {}, first.session)).reused).toBe(true);
  });

  it('ends after its time', async () => {
    const scene = await ServerScene.start({
      session_timeout: '1.5s',
      common_tls_context: { tls_certificates: [inline(server)] },
    });
    const first = await visit(scene, OLD);
    // OpenSSL looks at a clock of its own, in whole seconds.
    await vi.waitFor(async () => expect((await visit(scene, OLD, first.session)).reused).toBe(false), {
      timeout: 10_000,
      interval: 200,
    });
  });

  it('is forgotten with the keys of tickets, after two days', async () => {
    const clock = new FakeClock();
    const scene = await ServerScene.start(
      { common_tls_context: { tls_certificates: [inline(server)] } },
      { clock },
    );
    const first = await visit(scene, {});
    clock.advance(DAY_MS);
    const second = await visit(scene, {}, first.session);
    expect(second.reused).toBe(true);
    clock.advance(1.5 * DAY_MS);
    expect((await visit(scene, {}, second.session)).reused).toBe(false);
  });

  it.each(VERSIONS)('of a client with a certificate is verified again, %s', async (version) => {
    const clock = new FakeClock(Date.now());
    const scene = await ServerScene.start(
      {
        require_client_certificate: true,
        common_tls_context: {
          tls_certificates: [inline(server)],
          tls_params: only(version),
          validation_context: trusted,
        },
      },
      { clock },
    );
    const identity = { cert: client.chainPem, key: client.keyPem };
    const first = await visit(scene, identity);
    const second = await visit(scene, identity, first.session);
    expect(second.reused).toBe(true);
    const { tls } = second.end.info;
    // The chain is not sent again; what stands in between is known.
    expect([tls?.peerSubject, tls?.peerCertificateValidated]).toEqual(['CN=client', true]);
    expect(scene.ssl('fail_verify_error')).toBe(0);
    clock.advance(1000 * DAY_MS);
    const count = scene.ends.length;
    const late = { ...identity, servername: 'a.example', session: second.session };
    nodeClient(scene.port, late).catch(() => {});
    const end = await scene.end(count);
    await end.untilClosed();
    expect(end.failure).toContain('certificate has expired');
    expect(scene.ssl('fail_verify_error')).toBe(1);
  });
});

describe('keys of tickets', () => {
  const key = (fill: number): Config => ({ inline_bytes: Buffer.alloc(80, fill).toString('base64') });
  const own = { tls_certificates: [inline(server)] };
  const withKeys = (...fills: number[]): Config => ({ session_ticket_keys: { keys: fills.map(key) } });

  it.each([
    ['TLS 1.3', {}],
    ['TLS 1.2', OLD],
  ])('that are the same somewhere else make tickets good there, %s', async (_, options) => {
    const start = (fills: readonly number[], worker: number): Promise<ServerScene> =>
      ServerScene.start(
        { common_tls_context: own, ...withKeys(...fills) },
        { processKey: new Uint8Array(48).fill(worker) },
      );
    const here = await start([1], 1);
    const first = await visit(here, options);
    expect((await visit(await start([1], 2), options, first.session)).reused).toBe(true);
    expect((await visit(await start([3, 2, 1], 2), options, first.session)).reused).toBe(true);
    const without = await visit(await start([3, 2], 2), options, first.session);
    expect(without.reused).toBe(false);
    // With a new session of that listener the client comes back there.
    expect((await visit(await start([2, 3], 3), options, without.session)).reused).toBe(true);
  });

  it('of a control plane are replaced under open connections', async () => {
    const resources = new FakeDynamicResources();
    const give = (...fills: number[]): void =>
      resources.set(
        SecretSchema,
        'keys',
        readLoose(SecretSchema, { name: 'keys', session_ticket_keys: { keys: fills.map(key) } }),
      );
    const scene = await ServerScene.start(
      {
        common_tls_context: own,
        session_ticket_keys_sds_secret_config: { name: 'keys', sds_config: { ads: {} } },
      },
      { dynamicResources: resources },
    );
    await expect(visit(scene, {})).rejects.toThrow();
    expect(() => give()).toThrow('session_ticket_keys.keys');
    give(1);
    const cluster = new ClientScene({});
    const open = cluster.connect(scene.port);
    await open.untilReady();
    const other = await scene.end();
    const first = await visit(scene, {});
    give(2, 1);
    await talk(open, other);
    expect((await visit(scene, {}, first.session)).reused).toBe(true);
    const second = await visit(scene, {});
    give(2);
    expect((await visit(scene, {}, first.session)).reused).toBe(false);
    expect((await visit(scene, {}, second.session)).reused).toBe(true);
    await talk(open, other);
  });

  it('do not change with time', async () => {
    const clock = new FakeClock();
    const scene = await ServerScene.start({ common_tls_context: own, ...withKeys(1) }, { clock });
    const first = await visit(scene, {});
    clock.advance(10 * DAY_MS);
    expect((await visit(scene, {}, first.session)).reused).toBe(true);
  });

  it('make tickets for one worker where clients show certificates, also after a swap', async () => {
    const resources = new FakeDynamicResources();
    const give = (one: TestCertificate): void =>
      resources.set(
        SecretSchema,
        'own',
        readLoose(SecretSchema, { name: 'own', tls_certificate: inline(one) }),
      );
    const config: Config = {
      require_client_certificate: true,
      common_tls_context: {
        tls_certificate_sds_secret_configs: [{ name: 'own', sds_config: { ads: {} } }],
        validation_context: trusted,
      },
      ...withKeys(2, 1),
    };
    const here = await ServerScene.start(config, { dynamicResources: resources });
    const there = await ServerScene.start(config, { dynamicResources: resources });
    expect(here.context.warnings.join()).toContain('clients show certificates here');
    give(server);
    const identity = { cert: client.chainPem, key: client.keyPem };
    const first = await visit(here, identity);
    expect((await visit(there, identity, first.session)).reused).toBe(false);
    give(root.issue({ subject: 'CN=server', san: [{ dns: 'a.example' }, { dns: 'b.example' }] }));
    // What stands between the client and the authority is not sent again.
    const second = await visit(here, identity, first.session);
    expect([second.reused, second.end.info.tls?.peerCertificateValidated]).toEqual([true, true]);
  });
});

describe('upstream, a session', () => {
  const start = (version: string): Promise<ServerScene> =>
    ServerScene.start({
      common_tls_context: { tls_certificates: [inline(server)], tls_params: only(version) },
    });
  const cluster = (version: string, more: Config = {}): ClientScene =>
    new ClientScene({
      sni: 'a.example',
      ...more,
      common_tls_context: { tls_params: only(version), validation_context: trusted },
    });

  async function connection(scene: ServerScene, from: ClientScene, name?: string): Promise<End> {
    const count = scene.ends.length;
    const one = from.connect(scene.port, name === undefined ? undefined : { key: name, serverName: name });
    await talk(one, await scene.end(count));
    one.connection.close('now');
    await one.untilClosed();
    return one;
  }

  it.each(VERSIONS)('is resumed, and the server is known all the same, %s', async (version) => {
    const scene = await start(version);
    // OpenSSL's server gives two tickets of TLS 1.3, and none with a session that was resumed.
    const from = cluster(version, { max_session_keys: 2 });
    await connection(scene, from);
    const second = await connection(scene, from);
    await connection(scene, from);
    expect(from.ssl('session_reused')).toBe(2);
    expect(scene.ssl('session_reused')).toBe(2);
    const { tls } = second.info;
    expect([tls?.peerSubject, tls?.peerCertificateValidated]).toEqual(['CN=server', true]);
  });

  it.each(VERSIONS)('is kept for each server name, %s', async (version) => {
    const scene = await start(version);
    const from = cluster(version);
    await connection(scene, from);
    await connection(scene, from, 'b.example');
    expect(from.ssl('session_reused')).toBe(0);
    await connection(scene, from, 'b.example');
    await connection(scene, from);
    expect(from.ssl('session_reused')).toBe(2);
  });

  it.each(VERSIONS)('is not kept where max_session_keys is 0, %s', async (version) => {
    const scene = await start(version);
    const from = cluster(version, { max_session_keys: 0 });
    await connection(scene, from);
    await connection(scene, from);
    expect(from.ssl('session_reused')).toBe(0);
  });

  it('of TLS 1.3 is good for one connection', async () => {
    const scene = await start('TLSv1_3');
    const from = cluster('TLSv1_3');
    await connection(scene, from);
    const two = [from.connect(scene.port), from.connect(scene.port)];
    for (const one of two) await one.untilReady();
    expect(from.ssl('session_reused')).toBe(1);
  });

  it('does not outlive the certificate of its server', async () => {
    const clock = new FakeClock(Date.now());
    const scene = await start('TLSv1_2');
    const from = new ClientScene(
      {
        sni: 'a.example',
        common_tls_context: { tls_params: only('TLSv1_2'), validation_context: trusted },
      },
      { clock },
    );
    await connection(scene, from);
    clock.advance(1000 * DAY_MS);
    const late = from.connect(scene.port);
    await late.untilClosed();
    expect(late.failure).toContain('certificate has expired');
  });

  it('of a server that was refused is not kept', async () => {
    let sessions = 0;
    const stranger = TestAuthority.root().issue();
    const port = await rawServer((socket) => {
      const tls = new TLSSocket(socket, {
        isServer: true,
        secureContext: createSecureContext({ cert: stranger.pem, key: stranger.keyPem }),
      });
      tls.on('error', () => {});
      tls.on('secure', () => {
        if (tls.isSessionReused()) sessions++;
      });
    });
    const from = cluster('TLSv1_2');
    for (let i = 0; i < 2; i++) await from.connect(port).untilClosed();
    expect([from.ssl('fail_verify_error'), from.ssl('session_reused'), sessions]).toEqual([2, 0, 0]);
  });
});

describe('SessionCache', () => {
  const session = (name: string, singleUse = false) => ({ session: Buffer.from(name), chain: [], singleUse });

  it('gives the newest, and keeps as many as it may', () => {
    const cache = new SessionCache(2);
    for (const name of ['1', '2', '3']) cache.add('a', session(name, true));
    expect([1, 2, 3].map(() => cache.take('a')?.session.toString())).toEqual(['3', '2', undefined]);
  });

  it('gives again what may be used again', () => {
    const cache = new SessionCache(1);
    cache.add('a', session('1'));
    expect([cache.take('a'), cache.take('a')].map((one) => one?.session.toString())).toEqual(['1', '1']);
    expect(cache.take('b')).toBeUndefined();
  });

  it('forgets names', () => {
    const cache = new SessionCache(1);
    for (let i = 0; i < 1100; i++) cache.add(`name ${i}`, session('1'));
    expect([cache.take('name 0'), cache.take('name 1099')?.session.toString()]).toEqual([undefined, '1']);
  });
});

describe('SessionStore', () => {
  it('keeps a bounded number of bytes', () => {
    const store = new SessionStore();
    const id = (i: number) => Buffer.from(String(i));
    for (let i = 0; i < 3000; i++) store.add(id(i), Buffer.alloc(4096));
    expect(store.size).toBe(2048);
    expect(store.find(id(0))).toBeUndefined();
    expect(store.find(id(2999))).toHaveLength(4096);
    store.add(id(2999), Buffer.alloc(10));
    expect([store.size, store.find(id(2999))?.length]).toEqual([2048, 10]);
  });
});
