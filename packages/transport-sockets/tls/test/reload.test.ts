import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, FakeClock, TestAuthority, type TestCertificate } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Config, inline } from './support/config.ts';
import { nodeClient, nodeClientError } from './support/foreign.ts';
import { ClientScene, cleanUp, onCleanUp, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const first = root.issue({ subject: 'CN=first', san: [{ dns: 'a.example' }] });
const second = root.issue({ subject: 'CN=second', san: [{ dns: 'a.example' }] });

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dragoman-tls-'));
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
});
afterEach(cleanUp);

const at = (name: string): string => join(folder, name);

function write(certificate: TestCertificate, into = folder): void {
  writeFileSync(join(into, 'tls.crt'), certificate.chainPem);
  writeFileSync(join(into, 'tls.key'), certificate.keyPem);
}

const files = (): Config => ({
  certificate_chain: { filename: at('tls.crt') },
  private_key: { filename: at('tls.key') },
});

const serve = (certificate: Config = files()): Promise<ServerScene> =>
  ServerScene.start({ common_tls_context: { tls_certificates: [certificate] } });

async function shown(scene: ServerScene): Promise<string> {
  const socket = await nodeClient(scene.port, {});
  const { subject } = socket.getPeerX509Certificate() as { subject: string };
  socket.destroy();
  return subject;
}

const untilShown = (scene: ServerScene, name: string): Promise<void> =>
  vi.waitFor(async () => expect(await shown(scene)).toBe(`CN=${name}`), { timeout: 5000, interval: 20 });

const factory = (scene: ServerScene, name: string): number =>
  scene.context.stats.used()[`listener.test.server_ssl_socket_factory.${name}`] ?? 0;

describe('new files', () => {
  it.each<[string, () => void]>([
    ['are written in place', () => write(second)],
    [
      'take the place of old ones',
      () => {
        mkdirSync(at('new'));
        write(second, at('new'));
        renameSync(at('new/tls.crt'), at('tls.crt'));
        renameSync(at('new/tls.key'), at('tls.key'));
      },
    ],
    [
      'come after the old ones have gone',
      () => {
        rmSync(at('tls.crt'));
        rmSync(at('tls.key'));
        write(second);
      },
    ],
  ])('%s', async (_, change) => {
    write(first);
    const scene = await serve();
    expect(await shown(scene)).toBe('CN=first');
    change();
    await untilShown(scene, 'second');
    expect(factory(scene, 'ssl_context_update_by_sds')).toBeGreaterThan(0);
    expect(
      scene.context.stats.value(
        'listener.test.ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds',
      ),
    ).toBeGreaterThan(0);
  });

  it('come as Kubernetes brings them: links to links to folders', async () => {
    const mount = (name: string, certificate: TestCertificate) => {
      mkdirSync(at(name));
      write(certificate, at(name));
      symlinkSync(name, at('..data_tmp'));
      renameSync(at('..data_tmp'), at('..data'));
    };
    mount('..2026_1', first);
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, at(name));
    const scene = await serve();
    expect(await shown(scene)).toBe('CN=first');
    for (const [i, certificate] of [second, first, second].entries()) {
      mount(`..2026_${i + 2}`, certificate);
      rmSync(at(`..2026_${i + 1}`), { recursive: true });
      await untilShown(scene, certificate === first ? 'first' : 'second');
    }
  });

  it('come through a link to another folder', async () => {
    mkdirSync(at('a'));
    mkdirSync(at('b'));
    write(first, at('a'));
    symlinkSync('../a/tls.crt', at('b/tls.crt'));
    const scene = await serve({
      certificate_chain: { filename: at('b/tls.crt') },
      private_key: { filename: at('a/tls.key') },
    });
    expect(await shown(scene)).toBe('CN=first');
    write(second, at('a'));
    await untilShown(scene, 'second');
  });

  it('come in a folder that takes the place of another', async () => {
    mkdirSync(at('live'));
    write(first, at('live'));
    const scene = await serve({
      certificate_chain: { filename: at('live/tls.crt') },
      private_key: { filename: at('live/tls.key') },
      watched_directory: { path: folder },
    });
    mkdirSync(at('next'));
    write(second, at('next'));
    renameSync(at('live'), at('old'));
    renameSync(at('next'), at('live'));
    await untilShown(scene, 'second');
    // And the new one is watched.
    write(first, at('live'));
    await untilShown(scene, 'first');
  });

  it('serve new connections, while open ones go on', async () => {
    write(first);
    const scene = await serve();
    const cluster = new ClientScene({});
    const open = cluster.connect(scene.port);
    const other = await scene.end();
    await talk(open, other);
    write(second);
    await untilShown(scene, 'second');
    await talk(open, other);
    expect(open.info.tls?.peerSubject).toBe('CN=first');
  });

  it('that are no good leave the old ones in use, and are told of', async () => {
    write(first);
    const scene = await serve();
    writeFileSync(at('tls.crt'), 'no certificate');
    await eventually(() => factory(scene, 'ssl_context_update_failed') === 1);
    expect(await shown(scene)).toBe('CN=first');
    const line = scene.context.loggers.lines.at(-1);
    expect(line).toContain(
      "secret warning: listener 'test': the new TLS context is no good, the one before stays in use",
    );
    expect(line).toContain(at('tls.crt'));
    // A certificate without its key is none either, until the key is there.
    writeFileSync(at('tls.crt'), second.chainPem);
    await eventually(() => factory(scene, 'ssl_context_update_failed') === 2);
    expect(await shown(scene)).toBe('CN=first');
    writeFileSync(at('tls.key'), second.keyPem);
    await untilShown(scene, 'second');
  });

  it('of an authority decide who is let in', async () => {
    const foreign = TestAuthority.root({ subject: 'CN=Other Root' });
    const client = foreign.issue({ subject: 'CN=client' });
    writeFileSync(at('ca.pem'), root.pem);
    const scene = await ServerScene.start({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [inline(first)],
        validation_context: { trusted_ca: { filename: at('ca.pem') } },
      },
    });
    const cluster = new ClientScene({ common_tls_context: { tls_certificates: [inline(client)] } });
    await cluster.connect(scene.port).untilClosed();
    expect(scene.ssl('fail_verify_error')).toBe(1);
    writeFileSync(at('ca.pem'), foreign.pem);
    await eventually(() => factory(scene, 'ssl_context_update_by_sds') === 1);
    const count = scene.ends.length;
    await talk(cluster.connect(scene.port), await scene.end(count));
  });

  it('are not watched any more after close', async () => {
    write(first);
    const clock = new FakeClock();
    const scene = await ServerScene.start({ common_tls_context: { tls_certificates: [files()] } }, { clock });
    scene.tls.close();
    expect(clock.pendingTimers).toBe(0);
    write(second);
    clock.advance(60_000);
    expect(await shown(scene)).toBe('CN=first');
  });
});

describe('a secret in a file', () => {
  const asResponse = (certificate: TestCertificate): string =>
    JSON.stringify({
      version_info: '1',
      resources: [
        {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
          name: 'own',
          tls_certificate: inline(certificate),
        },
      ],
    });
  const asSecret = (): string =>
    [
      'name: own',
      'tls_certificate:',
      `  certificate_chain: { filename: ${at('tls.crt')} }`,
      `  private_key: { filename: ${at('tls.key')} }`,
      '',
    ].join('\n');
  const named = (): Config => ({
    common_tls_context: {
      tls_certificate_sds_secret_configs: [
        {
          name: 'own',
          sds_config: { path_config_source: { path: at('sds.yaml') }, resource_api_version: 'V3' },
        },
      ],
    },
  });

  it('is what a control plane would send', async () => {
    writeFileSync(at('sds.yaml'), asResponse(first));
    const scene = await ServerScene.start(named());
    expect(await shown(scene)).toBe('CN=first');
    writeFileSync(at('sds.yaml'), asResponse(second));
    await untilShown(scene, 'second');
    expect(
      scene.context.stats.value('listener.test.ssl.certificate.own.expiration_unix_time_seconds'),
    ).toBeGreaterThan(0);
  });

  it('may name files, which are watched too', async () => {
    write(first);
    writeFileSync(at('sds.yaml'), asSecret());
    const scene = await ServerScene.start(named());
    expect(await shown(scene)).toBe('CN=first');
    write(second);
    await untilShown(scene, 'second');
  });

  it.each<[string, string]>([
    ['is empty', ''],
    ['is broken', '{'],
    ['holds another secret', 'name: other'],
    ['holds a secret of another kind', 'name: own\nvalidation_context: {}'],
    [
      'holds something else',
      '{"resources": [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "own"}]}',
    ],
    [
      'names files that are not there',
      'name: own\ntls_certificate: { certificate_chain: { filename: /no/such }, private_key: { filename: /no/such } }',
    ],
  ])('that %s makes connections fail until it is right', async (_, content) => {
    writeFileSync(at('sds.yaml'), content);
    const scene = await ServerScene.start(named());
    expect(scene.context.loggers.lines.at(-1)).toContain('listener \'test\': TLS is not ready: secret "own"');
    expect(await nodeClientError(scene.port, {})).toBe('ECONNRESET');
    const end = await scene.end();
    await end.untilClosed();
    expect(end.failure).toBe('TLS error: Secret is not supplied by SDS');
    expect(factory(scene, 'downstream_context_secrets_not_ready')).toBe(1);
    writeFileSync(at('sds.yaml'), asResponse(first));
    await vi.waitFor(async () => expect(await shown(scene)).toBe('CN=first'), {
      timeout: 5000,
      interval: 20,
    });
  });

  it('that is not there yet makes connections upstream fail', async () => {
    writeFileSync(at('sds.yaml'), '');
    const scene = await serve(inline(first));
    const cluster = new ClientScene({
      common_tls_context: {
        validation_context_sds_secret_config: {
          name: 'ca',
          sds_config: { path_config_source: { path: at('sds.yaml') } },
        },
      },
    });
    const early = cluster.connect(scene.port);
    await early.untilClosed();
    expect(early.closed).toBe('remote: TLS error: Secret is not supplied by SDS');
    expect(
      cluster.context.stats.value(
        'cluster.test.client_ssl_socket_factory.upstream_context_secrets_not_ready',
      ),
    ).toBe(1);
    writeFileSync(
      at('sds.yaml'),
      JSON.stringify({ name: 'ca', validation_context: { trusted_ca: { inline_string: root.pem } } }),
    );
    await eventually(
      () =>
        cluster.context.stats.value('cluster.test.client_ssl_socket_factory.ssl_context_update_by_sds') === 1,
    );
    const client = cluster.connect(scene.port);
    await client.untilReady();
    expect(client.info.tls?.peerCertificateValidated).toBe(true);
  });
});
