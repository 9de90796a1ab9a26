import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLoose, SecretSchema } from '@dragoman/api';
import { type CertificateGroup, type ResourceUser, unknownResources } from '@dragoman/core';
import { eventually, FakeDynamicResources, TestAuthority, type TestCertificate } from '@dragoman/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, inline } from './support/config.ts';
import { nodeClient, nodeClientError } from './support/foreign.ts';
import { ClientScene, cleanUp, onCleanUp, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const foreign = TestAuthority.root({ subject: 'CN=Other Root' });
const first = root.issue({ subject: 'CN=first', san: [{ dns: 'a.example' }] });
const second = root.issue({ subject: 'CN=second', san: [{ dns: 'a.example' }] });
const client = foreign.issue({ subject: 'CN=client' });

const LATE = Date.parse('2049-01-01T00:00:00Z');

let resources = new FakeDynamicResources();
beforeEach(() => {
  resources = new FakeDynamicResources();
});
afterEach(cleanUp);

const SOURCE: Config = { ads: {}, resource_api_version: 'V3' };
const sds = (name: string): Config => ({ name, sds_config: SOURCE });
const secret = (name: string, content: Config) => readLoose(SecretSchema, { name, ...content });
const give = (name: string, content: Config): void =>
  resources.set(SecretSchema, name, secret(name, content));
const certificate = (one: TestCertificate): Config => ({ tls_certificate: inline(one) });
const authority = (one: TestAuthority): Config => ({
  validation_context: { trusted_ca: { inline_string: one.pem } },
});
const mixed: Config = {
  tls_certificate: { ...inline(first), private_key: { inline_string: second.keyPem } },
};

const OWN: Config = { common_tls_context: { tls_certificate_sds_secret_configs: [sds('own')] } };

const serve = (config: Config = OWN): Promise<ServerScene> =>
  ServerScene.start(config, { dynamicResources: resources });
const cluster = (common: Config): ClientScene =>
  new ClientScene({ common_tls_context: common }, { dynamicResources: resources });

async function shown(scene: ServerScene): Promise<string> {
  const socket = await nodeClient(scene.port, {});
  const { subject } = socket.getPeerX509Certificate() as { subject: string };
  socket.destroy();
  return subject;
}

const factory = (scene: ServerScene | ClientScene, name: string): number => {
  const used = scene.context.stats.used();
  const side = scene instanceof ServerScene ? 'listener.test.server' : 'cluster.test.client';
  return used[`${side}_ssl_socket_factory.${name}`] ?? 0;
};
const expiry = (scene: ServerScene): number =>
  scene.context.stats.value('listener.test.ssl.certificate.own.expiration_unix_time_seconds');

describe('a certificate of a control plane', () => {
  it('is used at once when it is known', async () => {
    // Somebody else has asked for it before.
    resources.watch({ type: SecretSchema, source: {}, name: 'own' }, { prepare: () => () => {} });
    give('own', certificate(first));
    const scene = await serve();
    expect(await shown(scene)).toBe('CN=first');
    expect(factory(scene, 'ssl_context_update_by_sds')).toBe(0);
  });

  it('ends connections until it comes', async () => {
    const scene = await serve();
    expect(scene.context.loggers.lines.at(-1)).toContain(
      'secret warning: listener \'test\': TLS is not ready: secret "own" has not come from its config source',
    );
    expect(await nodeClientError(scene.port, {})).toBe('ECONNRESET');
    const end = await scene.end();
    await end.untilClosed();
    expect(end.failure).toBe('TLS error: Secret is not supplied by SDS');
    expect(factory(scene, 'downstream_context_secrets_not_ready')).toBe(1);
    give('own', certificate(first));
    expect(await shown(scene)).toBe('CN=first');
    expect(factory(scene, 'ssl_context_update_by_sds')).toBe(1);
  });

  it('is replaced for new connections, while open ones go on', async () => {
    const scene = await serve();
    give('own', certificate(first));
    const open = cluster({}).connect(scene.port);
    const other = await scene.end();
    await talk(open, other);
    give('own', certificate(second));
    expect(await shown(scene)).toBe('CN=second');
    await talk(open, other);
    expect(open.info.tls?.peerSubject).toBe('CN=first');
    expect(factory(scene, 'ssl_context_update_by_sds')).toBe(2);
  });

  it('is what admin and the expiry stat tell of', async () => {
    const groups: (() => CertificateGroup)[] = [];
    const certificates = {
      register: (read: () => CertificateGroup) => {
        groups.push(read);
        return () => {};
      },
    };
    const scene = await ServerScene.start(OWN, { dynamicResources: resources, certificates });
    const serials = (): string[] =>
      groups.flatMap((read) => read().certificateChain.map(({ serialNumber }) => serialNumber));
    expect(serials()).toEqual([]);
    const late = root.issue({ subject: 'CN=late', notAfter: LATE });
    give('own', certificate(first));
    const before = serials();
    expect(before).toHaveLength(1);
    give('own', certificate(late));
    expect(serials()).not.toEqual(before);
    expect(expiry(scene)).toBe(LATE / 1000);
  });

  it.each<[string, Config, string]>([
    [
      'has the key of another one',
      mixed,
      'tls_certificate.private_key: Failed to load private key from <inline>',
    ],
    [
      'is none',
      { tls_certificate: { ...inline(first), certificate_chain: { inline_string: 'x' } } },
      'tls_certificate.certificate_chain: Failed to load certificate chain from <inline>',
    ],
    ['is of another kind', authority(root), 'name: the secret "own" is no tls_certificate'],
    [
      'names a file that is not there',
      { tls_certificate: { ...inline(first), private_key: { filename: '/no/such' } } },
      'tls_certificate.private_key',
    ],
    [
      'has what is not supported',
      { tls_certificate: { ...inline(first), signed_certificate_timestamp: [{ inline_string: 'x' }] } },
      'tls_certificate.signed_certificate_timestamp: signed certificate timestamps are not supported',
    ],
  ])('that %s is refused, and the one before stays', async (_, content, message) => {
    const scene = await serve();
    // Also as the first one.
    expect(() => give('own', content)).toThrow(message);
    give('own', certificate(first));
    expect(() => give('own', content)).toThrow(message);
    expect(await shown(scene)).toBe('CN=first');
    expect(factory(scene, 'ssl_context_update_by_sds')).toBe(1);
  });

  it('stays when it is removed', async () => {
    const scene = await serve();
    give('own', certificate(first));
    resources.set(SecretSchema, 'own', undefined);
    expect(await shown(scene)).toBe('CN=first');
    expect(scene.context.loggers.lines.at(-1)).toContain('secret "own" was removed; its last version stays');
    // Who comes now has none.
    const other = await serve();
    expect(await nodeClientError(other.port, {})).toBe('ECONNRESET');
    give('own', certificate(second));
    expect([await shown(scene), await shown(other)]).toEqual(['CN=second', 'CN=second']);
  });

  it('is taken by all that share it, or by none', async () => {
    const plain = await serve();
    const strict = await serve({ ...OWN, ocsp_staple_policy: 'MUST_STAPLE' });
    expect(() => give('own', certificate(first))).toThrow(
      "tls_certificate: listener 'test' cannot use it: common_tls_context.tls_certificate_sds_secret_configs[0].ocsp_staple",
    );
    for (const scene of [plain, strict]) expect(await nodeClientError(scene.port, {})).toBe('ECONNRESET');
    strict.tls.close();
    give('own', certificate(first));
    expect(await shown(plain)).toBe('CN=first');
    expect(await nodeClientError(strict.port, {})).toBe('ECONNRESET');
  });

  it('is not asked for any more after close', async () => {
    const scene = await serve();
    expect(resources.watched).toEqual([`${SecretSchema.typeName} own`]);
    scene.tls.close();
    expect(resources.watched).toEqual([]);
  });

  it('that is known and no good refuses the config, and nothing is left behind', async () => {
    const others = await serve({
      common_tls_context: { tls_certificate_sds_secret_configs: [sds('good')] },
    });
    resources.watch({ type: SecretSchema, source: {}, name: 'own' }, { prepare: () => () => {} });
    give('good', certificate(first));
    give('own', mixed);
    await expect(
      serve({ common_tls_context: { tls_certificate_sds_secret_configs: [sds('good'), sds('own')] } }),
    ).rejects.toThrow(
      'common_tls_context.tls_certificate_sds_secret_configs[1]: secret "own": tls_certificate.private_key',
    );
    others.tls.close();
    expect(resources.watched).toEqual([`${SecretSchema.typeName} own`]);
  });

  it('does not hide what is wrong in the config', async () => {
    await expect(
      serve({
        common_tls_context: {
          tls_certificate_sds_secret_configs: [sds('own')],
          validation_context: { trusted_ca: { inline_string: 'x' } },
        },
      }),
    ).rejects.toThrow('common_tls_context.validation_context.trusted_ca');
    expect(() =>
      cluster({
        combined_validation_context: {
          default_validation_context: { require_signed_certificate_timestamp: true },
          validation_context_sds_secret_config: sds('ca'),
        },
      }),
    ).toThrow('combined_validation_context.default_validation_context.require_signed_certificate_timestamp');
    expect(resources.watched).toEqual([]);
  });
});

describe('a refusal', () => {
  it('holds no byte of a key', async () => {
    const scene = await serve();
    const body = second.keyPem.split('\n').slice(1, -2);
    const broken = second.keyPem.replace(body[0] as string, '####');
    for (const keyPem of [second.keyPem, broken, `x${second.keyPem.slice(30)}`]) {
      let text = '';
      try {
        give('own', { tls_certificate: { ...inline(first), private_key: { inline_string: keyPem } } });
      } catch (error) {
        text = String((error as Error).stack);
      }
      expect(text).toContain('tls_certificate.private_key');
      const seen = [text, ...scene.context.loggers.lines].join();
      for (const line of body) expect(seen).not.toContain(line.slice(0, 8));
    }
  });
});

describe('a validation context of a control plane', () => {
  const MUTUAL: Config = {
    require_client_certificate: true,
    common_tls_context: {
      tls_certificate_sds_secret_configs: [sds('own')],
      validation_context_sds_secret_config: sds('ca'),
    },
  };

  it.each([
    ['after', ['own', 'ca']],
    ['before', ['ca', 'own']],
  ])('comes %s the certificate, and both are needed', async (_, order) => {
    const scene = await serve(MUTUAL);
    const contents: Record<string, Config> = { own: certificate(first), ca: authority(foreign) };
    const from = cluster({ tls_certificates: [inline(client)] });
    for (const name of order) {
      await from.connect(scene.port).untilClosed();
      // What is no good is refused, although the other one is not there.
      expect(() =>
        give(name, name === 'own' ? mixed : { validation_context: { crl: { inline_string: 'x' } } }),
      ).toThrow();
      give(name, contents[name] as Config);
    }
    expect(factory(scene, 'downstream_context_secrets_not_ready')).toBe(2);
    expect(factory(scene, 'ssl_context_update_failed')).toBe(0);
    const count = scene.ends.length;
    await talk(from.connect(scene.port), await scene.end(count));
    // From now on others are let in.
    give('ca', authority(root));
    await from.connect(scene.port).untilClosed();
    expect(scene.ssl('fail_verify_error')).toBe(1);
  });

  it('is merged into the default one', async () => {
    const scene = await serve();
    give('own', certificate(first));
    const from = cluster({
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a.example' } }],
        },
        validation_context_sds_secret_config: sds('ca'),
      },
    });
    give('ca', authority(root));
    const one = from.connect(scene.port);
    await one.untilReady();
    expect(one.info.tls?.peerCertificateValidated).toBe(true);
    give('own', certificate(root.issue({ subject: 'CN=other', san: [{ dns: 'b.example' }] })));
    const other = from.connect(scene.port);
    await other.untilClosed();
    expect(other.failure).toContain('SAN matcher');
  });

  it('that is not there makes connections upstream fail', async () => {
    const scene = await serve();
    give('own', certificate(first));
    const from = cluster({ validation_context_sds_secret_config: sds('ca') });
    const early = from.connect(scene.port);
    await early.untilClosed();
    expect(early.closed).toBe('remote: TLS error: Secret is not supplied by SDS');
    expect(factory(from, 'upstream_context_secrets_not_ready')).toBe(1);
    give('ca', authority(root));
    expect(factory(from, 'ssl_context_update_by_sds')).toBe(1);
    await from.connect(scene.port).untilReady();
    from.tls.close();
    expect(resources.watched).toEqual([`${SecretSchema.typeName} own`]);
  });
});

describe('two versions', () => {
  it('that are prepared at a time are both used', async () => {
    const users = new Map<string, ResourceUser>();
    const scene = await ServerScene.start(
      {
        require_client_certificate: true,
        common_tls_context: {
          tls_certificate_sds_secret_configs: [sds('own')],
          validation_context_sds_secret_config: sds('ca'),
        },
      },
      {
        dynamicResources: {
          ...unknownResources,
          watch({ name }, user) {
            users.set(name, user as ResourceUser);
            return { close: () => users.delete(name) };
          },
        },
      },
    );
    const prepare = (name: string, content: Config): (() => void) =>
      users.get(name)?.prepare(secret(name, content)) ?? expect.unreachable();
    prepare('own', certificate(first))();
    prepare('ca', authority(foreign))();
    const commits = [prepare('own', certificate(second)), prepare('ca', authority(root))];
    const from = cluster({ tls_certificates: [inline(first)] });
    // Nothing has changed yet.
    await from.connect(scene.port).untilClosed();
    for (const commit of commits) commit();
    const one = from.connect(scene.port);
    await talk(one, await scene.end(1));
    expect(one.info.tls?.peerSubject).toBe('CN=second');
    // After close a version that was prepared before changes nothing.
    const late = prepare('own', certificate(first));
    scene.tls.close();
    late();
    const two = from.connect(scene.port);
    await two.untilReady();
    expect(two.info.tls?.peerSubject).toBe('CN=second');
  });
});

describe('files that a delivered secret names', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dragoman-sds-'));
    onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  });
  const at = (name: string): string => join(folder, name);
  function write(one: TestCertificate): void {
    writeFileSync(at('tls.crt'), one.chainPem);
    writeFileSync(at('tls.key'), one.keyPem);
  }
  const named = (): Config => ({
    tls_certificate: {
      certificate_chain: { filename: at('tls.crt') },
      private_key: { filename: at('tls.key') },
    },
  });

  it('are watched, and what is no good is counted and not used', async () => {
    const scene = await serve();
    write(first);
    give('own', named());
    expect(await shown(scene)).toBe('CN=first');
    write(second);
    await eventually(() => factory(scene, 'ssl_context_update_by_sds') === 2);
    expect(await shown(scene)).toBe('CN=second');
    writeFileSync(at('tls.key'), first.keyPem);
    await eventually(() => factory(scene, 'ssl_context_update_failed') === 1);
    expect(scene.context.stats.value('sds.own.key_rotation_failed')).toBe(1);
    expect(await shown(scene)).toBe('CN=second');
    // Another secret is taken although these files are still no good.
    give('own', certificate(first));
    expect(await shown(scene)).toBe('CN=first');
  });

  it('of another secret do not make a new one refused', async () => {
    const scene = await serve({
      common_tls_context: { tls_certificate_sds_secret_configs: [sds('own'), sds('more')] },
    });
    write(first);
    give('own', named());
    give('more', certificate(second));
    writeFileSync(at('tls.key'), 'x');
    give('more', certificate(first));
    expect(factory(scene, 'ssl_context_update_failed')).toBe(1);
    write(second);
    await eventually(() => factory(scene, 'ssl_context_update_by_sds') === 2);
    expect(await shown(scene)).toBe('CN=second');
  });

  it('of the config itself do not make one refused', async () => {
    write(first);
    const scene = await serve({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [named()['tls_certificate'] as Config],
        validation_context_sds_secret_config: sds('ca'),
      },
    });
    give('ca', authority(root));
    writeFileSync(at('tls.crt'), 'x');
    give('ca', authority(foreign));
    expect(scene.context.loggers.lines.at(-1)).toContain(
      'the new TLS context is no good, the one before stays',
    );
    const from = cluster({ tls_certificates: [inline(client)] });
    await from.connect(scene.port).untilClosed();
    write(second);
    await eventually(() => factory(scene, 'ssl_context_update_by_sds') === 2);
    const one = from.connect(scene.port);
    await talk(one, await scene.end(1));
    expect(one.info.tls?.peerSubject).toBe('CN=second');
  });
});
