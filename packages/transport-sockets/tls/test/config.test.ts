import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLoose, SecretSchema } from '@dragoman/api';
import { ConfigError, ExtensionRegistry } from '@dragoman/core';
import { DAY_MS, TestAuthority, type TestContext, testContext } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createDownstreamTls } from '../src/downstream.ts';
import { downstreamTls, tls, upstreamTls } from '../src/index.ts';
import { createUpstreamTls } from '../src/upstream.ts';
import { type Config, downstreamConfig, inline, upstreamConfig } from './support/config.ts';
import { ClientScene, cleanUp, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const notAfter = Math.floor(Date.now() / 1000) * 1000 + 30 * DAY_MS;
const server = root.issue({
  subject: 'CN=server',
  san: [{ dns: 'a.example' }, { uri: 'spiffe://test.example/server' }, { ip: '192.0.2.1' }],
  notAfter,
});
const weak = root.issue({ key: 'rsa1024' });
const odd = root.issue({ key: 'secp256k1' });
const other = root.issue({ subject: 'CN=other' });
const folder = mkdtempSync(join(tmpdir(), 'dragoman-tls-'));
const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

afterEach(cleanUp);

function problemsOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('it was accepted');
}

const downstream = (fields: Config, context: TestContext = testContext()) =>
  createDownstreamTls(downstreamConfig(fields), context);
const upstream = (fields: Config, context: TestContext = testContext()) =>
  createUpstreamTls(upstreamConfig(fields), context);
const common = (fields: Config): Config => ({
  common_tls_context: { tls_certificates: [inline(server)], ...fields },
});
const certificate = (fields: Config): Config => ({ common_tls_context: { tls_certificates: [fields] } });
const validation = (fields: Config): Config => common({ validation_context: fields });
const ca = { trusted_ca: { inline_string: root.pem } };
const sds = (source: Config): Config => ({
  common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'own', sds_config: source }] },
});

describe('a downstream config is refused', () => {
  it.each<[string, Config, string]>([
    [
      'without certificates',
      {},
      'common_tls_context.tls_certificates: No TLS certificates found for server context',
    ],
    [
      'with a ticket key that is too short',
      { ...common({}), session_ticket_keys: { keys: [{ inline_string: 'x' }] } },
      'session_ticket_keys.keys[0]: Incorrect TLS session ticket key length. Length 1, expected length 80',
    ],
    [
      'with ticket keys of a secret',
      { ...common({}), session_ticket_keys_sds_secret_config: { name: 'x' } },
      'session_ticket_keys_sds_secret_config.name: Unknown static secret: x',
    ],
    [
      'with a handshaker',
      common({ custom_handshaker: { name: 'x', typed_config: {} } }),
      'custom_handshaker: handshakers of other kinds',
    ],
    [
      'with a certificate provider',
      common({ tls_certificate_provider_instance: {} }),
      'tls_certificate_provider_instance: certificate providers are not supported',
    ],
    [
      'with an empty protocol',
      common({ alpn_protocols: ['h2', ''] }),
      'common_tls_context.alpn_protocols[1]: Invalid ALPN protocol string',
    ],
    [
      'with a protocol that is too long',
      common({ alpn_protocols: ['x'.repeat(256)] }),
      'alpn_protocols[0]: Invalid ALPN',
    ],
    [
      'with a broken certificate',
      certificate({ ...inline(server), certificate_chain: { inline_string: 'x' } }),
      'tls_certificates[0].certificate_chain: Failed to load certificate chain from <inline>',
    ],
    [
      'with a file that is not there',
      certificate({ ...inline(server), certificate_chain: { filename: '/no/such' } }),
      'tls_certificates[0].certificate_chain.filename: cannot read "/no/such"',
    ],
    [
      'without a key',
      certificate({ certificate_chain: { inline_string: server.pem } }),
      'tls_certificates[0].private_key: is required',
    ],
    [
      'without a certificate',
      certificate({ private_key: { inline_string: server.keyPem } }),
      'tls_certificates[0].certificate_chain: is required',
    ],
    [
      'with a broken key',
      certificate({ ...inline(server), private_key: { inline_string: 'x' } }),
      'private_key: Failed to load private key from <inline>',
    ],
    [
      'with another key',
      certificate({ ...inline(server), private_key: { inline_string: other.keyPem } }),
      'private_key: Failed to load private key from <inline>: it is not the key of the certificate',
    ],
    [
      'with a key that needs a password',
      certificate({ ...inline(server), private_key: { inline_string: server.encryptedKeyPem('secret') } }),
      'private_key: Failed to load private key from <inline>',
    ],
    [
      'with a wrong password',
      certificate({
        ...inline(server),
        private_key: { inline_string: server.encryptedKeyPem('secret') },
        password: { inline_string: 'x' },
      }),
      'the password may be wrong',
    ],
    [
      'with a key of 1024 bits',
      certificate(inline(weak)),
      'certificate_chain: only RSA certificates with 2048-bit or larger keys are supported, not 1024',
    ],
    [
      'with an odd curve',
      certificate(inline(odd)),
      'certificate_chain: only P-256, P-384 or P-521 ECDSA certificates are supported, not secp256k1',
    ],
    [
      'with a key elsewhere',
      certificate({ ...inline(server), private_key_provider: { provider_name: 'x' } }),
      'tls_certificates[0].private_key_provider: keys that are used elsewhere',
    ],
    [
      'with timestamps',
      certificate({ ...inline(server), signed_certificate_timestamp: [{ inline_string: 'x' }] }),
      'signed_certificate_timestamp: signed certificate timestamps',
    ],
    [
      'with PKCS#12 and a chain',
      certificate({ ...inline(server), pkcs12: { inline_string: 'x' } }),
      "pkcs12: Certificate configuration can't have both pkcs12 and certificate_chain",
    ],
    [
      'with broken PKCS#12',
      certificate({ pkcs12: { inline_string: 'x' } }),
      'tls_certificates[0].pkcs12: Failed to load pkcs12 from <inline>',
    ],
    [
      'with both kinds of list',
      common({ tls_certificate_sds_secret_configs: [{ name: 'x' }] }),
      'SDS and non-SDS TLS certificates may not be mixed',
    ],
    [
      'with an unknown secret',
      { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'x' }] } },
      'tls_certificate_sds_secret_configs[0].name: Unknown static secret: x; of static_resources.secrets there are none',
    ],
    [
      'with a secret of a control plane, where there is none',
      sds({ ads: {} }),
      'tls_certificate_sds_secret_configs[0]: secret "own": config sources are not wired into this proxy',
    ],
    [
      'with a secret of a file that is not there',
      sds({ path_config_source: { path: '/no/such.yaml' } }),
      'tls_certificate_sds_secret_configs[0].sds_config: the file "/no/such.yaml" of the secret "own" cannot be read',
    ],
    [
      'with a validation context that trusts nobody',
      validation({ trusted_ca: { inline_string: 'x' } }),
      'common_tls_context.validation_context.trusted_ca: ',
    ],
    [
      'with names and no authority',
      validation({ match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a' } }] }),
      'SAN-based verification of peer certificates without trusted CA is insecure',
    ],
    [
      'with an OTHER_NAME without a type',
      validation({
        ...ca,
        match_typed_subject_alt_names: [{ san_type: 'OTHER_NAME', matcher: { exact: 'a' } }],
      }),
      'match_typed_subject_alt_names[0].oid',
    ],
    [
      'with timestamps of peers',
      validation({ ...ca, require_signed_certificate_timestamp: true }),
      'require_signed_certificate_timestamp',
    ],
    [
      'with a provider of authorities',
      validation({ ca_certificate_provider_instance: {} }),
      'ca_certificate_provider_instance: certificate provider instances are not supported',
    ],
    [
      'with an unknown validator',
      validation({ custom_validator_config: { name: 'my.validator', typed_config: {} } }),
      'custom_validator_config: the certificate validator "my.validator" is not supported',
    ],
    [
      'with a key log that cannot be written',
      common({ key_log: { path: '/no/such/folder/keys' } }),
      'common_tls_context.key_log.path: "/no/such/folder/keys" cannot be written to',
    ],
    [
      'with a key log for no network',
      common({ key_log: { path: join(folder, 'keys'), local_address_range: [{ address_prefix: 'x' }] } }),
      'key_log.local_address_range[0]',
    ],
  ])('%s', (_, fields, text) => {
    expect(problemsOf(() => downstream(fields))).toContain(text);
  });
});

describe('an upstream config is refused', () => {
  it.each<[string, Config, string]>([
    [
      'with renegotiation',
      { allow_renegotiation: true },
      'allow_renegotiation: is not supported: Node cannot check',
    ],
    ['with an SNI that is an address', { sni: '192.0.2.1' }, 'sni: "192.0.2.1" is an address'],
    ['with an SNI that has a NUL', { sni: 'a\0b' }, 'sni: SNI names containing NULL-byte are not allowed'],
    [
      'with two certificates',
      { common_tls_context: { tls_certificates: [inline(server), inline(other)] } },
      'Multiple TLS certificates are not supported for client contexts',
    ],
    [
      'that verifies the SNI with nothing to verify',
      { auto_sni_san_validation: true },
      "auto_sni_san_validation: 'auto_sni_san_validation' was configured without a validation context",
    ],
    [
      'that verifies the SNI without an authority',
      { auto_sni_san_validation: true, common_tls_context: { validation_context: {} } },
      'needs trusted_ca',
    ],
  ])('%s', (_, fields, text) => {
    expect(problemsOf(() => upstream(fields))).toContain(text);
  });
});

describe('certificates are read', () => {
  const encrypted = server.encryptedKeyPem('secret');
  it.each<[string, Config]>([
    ['from texts', inline(server)],
    [
      'from bytes',
      {
        certificate_chain: { inline_bytes: Buffer.from(server.chainPem).toString('base64') },
        private_key: { inline_bytes: Buffer.from(server.keyPem).toString('base64') },
      },
    ],
    [
      'from files',
      {
        certificate_chain: { filename: file('cert.pem', server.chainPem) },
        private_key: { filename: file('key.pem', server.keyPem) },
      },
    ],
    [
      'from the environment',
      {
        certificate_chain: { environment_variable: 'DRAGOMAN_TEST_CERT' },
        private_key: { environment_variable: 'DRAGOMAN_TEST_KEY' },
      },
    ],
    [
      'with a password',
      {
        ...inline(server),
        private_key: { inline_string: encrypted },
        password: { filename: file('password', 'secret') },
      },
    ],
    [
      'of the old form of encrypted keys',
      {
        ...inline(server),
        private_key: { inline_string: server.encryptedKeyPem('secret', 'traditional') },
        password: { inline_string: 'secret' },
      },
    ],
    [
      'from PKCS#12',
      {
        pkcs12: { inline_bytes: server.pkcs12('secret').toString('base64') },
        password: { inline_string: 'secret' },
      },
    ],
    ['from a file of PKCS#12', { pkcs12: { filename: file('own.p12', server.pkcs12('')) } }],
  ])('%s', async (_, fields) => {
    process.env['DRAGOMAN_TEST_CERT'] = server.chainPem;
    process.env['DRAGOMAN_TEST_KEY'] = server.keyPem;
    const scene = await ServerScene.start(certificate(fields));
    const cluster = new ClientScene({ common_tls_context: { validation_context: ca } });
    const client = cluster.connect(scene.port);
    await talk(client, await scene.end());
    expect(client.info.tls?.peerSubject).toBe('CN=server');
  });

  it('from static secrets', async () => {
    const secrets = new Map(
      [
        { name: 'own', tls_certificate: inline(server) },
        { name: 'ca', validation_context: ca },
        { name: 'bad', tls_certificate: { ...inline(server), private_key: { inline_string: other.keyPem } } },
      ].map((secret) => [secret.name, readLoose(SecretSchema, secret)]),
    );
    const source = { find: (name: string) => secrets.get(name), names: [...secrets.keys()] };
    const named = (name: string): Config => ({
      common_tls_context: { tls_certificate_sds_secret_configs: [{ name }] },
    });
    const scene = await ServerScene.start(named('own'), { secrets: source });
    const cluster = new ClientScene(
      { common_tls_context: { validation_context_sds_secret_config: { name: 'ca' } } },
      { secrets: source },
    );
    const client = cluster.connect(scene.port);
    await talk(client, await scene.end());
    expect(client.info.tls?.peerCertificateValidated).toBe(true);
    const context = testContext({ secrets: source });
    expect(problemsOf(() => downstream(named('x'), context))).toContain(
      'Unknown static secret: x; of static_resources.secrets there are own, ca, bad',
    );
    expect(problemsOf(() => downstream(named('ca'), context))).toContain(
      'the secret "ca" is no tls_certificate',
    );
    expect(problemsOf(() => downstream(named('bad'), context))).toContain(
      'tls_certificate_sds_secret_configs[0]: secret "bad": private_key: Failed to load private key',
    );
  });
});

describe('peers are verified', () => {
  const spiffe = (domain: string): Config => ({
    custom_validator_config: {
      name: 'envoy.tls.cert_validator.spiffe',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig',
        trust_domains: [{ name: domain, trust_bundle: { inline_string: root.pem } }],
      },
    },
  });
  const uri = (matcher: Config): Config => ({
    ...ca,
    match_typed_subject_alt_names: [{ san_type: 'URI', matcher }],
  });

  it.each<[string, Config, string | undefined]>([
    ['by a domain', spiffe('test.example'), undefined],
    ['by another domain', spiffe('other.example'), 'verify cert failed: no trust bundle store'],
    ['by a prefix of a URI', uri({ prefix: 'spiffe://test.example/' }), undefined],
    ['by a pattern', uri({ safe_regex: { regex: 'spiffe://[^/]+/client' } }), 'SAN matcher'],
    ['by the deprecated list', { ...ca, match_subject_alt_names: [{ suffix: '/server' }] }, undefined],
    [
      'by an address',
      { ...ca, match_typed_subject_alt_names: [{ san_type: 'IP_ADDRESS', matcher: { exact: '192.0.2.1' } }] },
      undefined,
    ],
    ['by the system’s authorities', { system_root_certs: {} }, 'unable to get local issuer certificate'],
    ['by an authority of one’s own, before those of the system', { ...ca, system_root_certs: {} }, undefined],
    ['with the depth that they may have', { ...ca, max_verify_depth: 1 }, undefined],
    [
      'by the default validator, by name',
      { ...ca, custom_validator_config: { name: 'envoy.tls.cert_validator.default', typed_config: {} } },
      undefined,
    ],
  ])('%s', async (_, rules, failure) => {
    const scene = await ServerScene.start(common({}));
    const cluster = new ClientScene({ common_tls_context: { validation_context: rules } });
    const client = cluster.connect(scene.port);
    if (failure === undefined) {
      await talk(client, await scene.end());
      expect(client.info.tls?.peerCertificateValidated).toBe(true);
      return;
    }
    await client.untilClosed();
    expect(client.failure).toContain(failure);
  });

  it('by a validator that does not look at other fields: they are refused', () => {
    expect(
      problemsOf(() => upstream({ common_tls_context: { validation_context: { ...spiffe('a'), ...ca } } })),
    ).toContain('trusted_ca: is not looked at where custom_validator_config is given');
    expect(
      problemsOf(() =>
        upstream({ auto_sni_san_validation: true, common_tls_context: { validation_context: spiffe('a') } }),
      ),
    ).toContain('auto_sni_san_validation is not looked at');
  });

  it('by what a secret adds to a default', async () => {
    const secret = readLoose(SecretSchema, { name: 'ca', validation_context: ca });
    const secrets = { find: () => secret, names: ['ca'] };
    const rules = (exact: string): Config => ({
      common_tls_context: {
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact } }],
          },
          validation_context_sds_secret_config: { name: 'ca' },
        },
      },
    });
    const scene = await ServerScene.start(common({}));
    const right = new ClientScene(rules('a.example'), { secrets }).connect(scene.port);
    await right.untilReady();
    const wrong = new ClientScene(rules('b.example'), { secrets }).connect(scene.port);
    await wrong.untilClosed();
    expect(wrong.failure).toContain('SAN matcher');
  });

  it('not at all where nothing says how', async () => {
    const scene = await ServerScene.start(common({}));
    const cluster = new ClientScene({});
    const client = cluster.connect(scene.port);
    await talk(client, await scene.end());
    expect(client.info.tls).toMatchObject({ peerCertificateValidated: false });
    expect(client.info.tls?.peerSubject).toBe('CN=server');
  });

  it('not at all where a certificate is demanded without rules, with a warning', async () => {
    const context = testContext();
    downstream({ require_client_certificate: true, ...common({}) }, context).close();
    expect(context.warnings[0]).toMatch(/^require_client_certificate: there is no validation context/);
    const scene = await ServerScene.start({ require_client_certificate: true, ...common({}) });
    const without = new ClientScene({}).connect(scene.port);
    await without.untilClosed();
    const client = new ClientScene({ common_tls_context: { tls_certificates: [inline(other)] } }).connect(
      scene.port,
    );
    await talk(client, await scene.end(1));
    expect((await scene.end(1)).info.tls?.peerCertificateValidated).toBe(false);
  });
});

describe('key usage of RSA certificates', () => {
  const encipher = root.issue({ subject: 'CN=encipher', key: 'rsa2048', keyUsage: ['keyEncipherment'] });

  it.each([
    [false, undefined],
    [true, 'TLS_error:|268435758:SSL routines:OPENSSL_internal:KEY_USAGE_BIT_INCORRECT:TLS_error_end'],
  ])('enforced: %s', async (enforce, failure) => {
    const scene = await ServerScene.start(certificate(inline(encipher)));
    const cluster = new ClientScene({ enforce_rsa_key_usage: enforce });
    const client = cluster.connect(scene.port);
    if (failure === undefined) {
      await client.untilReady();
      expect(cluster.ssl('was_key_usage_invalid')).toBe(1);
      return;
    }
    await client.untilClosed();
    expect(client.failure).toBe(failure);
    expect(cluster.ssl('connection_error')).toBe(1);
  });
});

describe('what operators see', () => {
  it('of certificates', () => {
    const groups: unknown[] = [];
    let gone = 0;
    const context = testContext({
      certificates: {
        register: (read) => {
          groups.push(read);
          return () => gone++;
        },
      },
    });
    const made = downstream(
      certificate({
        certificate_chain: { filename: file('shown.pem', server.chainPem) },
        private_key: { inline_string: server.keyPem },
      }),
      context,
    );
    const read = groups[0] as () => unknown;
    expect(read()).toEqual({
      caCertificates: [],
      certificateChain: [
        {
          path: join(folder, 'shown.pem'),
          serialNumber: server.serial.toString(16).padStart(32, '0'),
          dnsSans: ['a.example'],
          uriSans: ['spiffe://test.example/server'],
          ipSans: ['192.0.2.1'],
          validFrom: expect.any(Number),
          expirationTime: notAfter,
        },
      ],
    });
    made.close();
    expect(gone).toBe(1);
  });

  it('of expiry, under Envoy’s names', () => {
    const context = testContext();
    const made = downstream(validation(ca), context);
    // The name is made of inline_bytes only, so that it is the same for all other sources.
    expect(
      context.stats.value('listener.test.ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds'),
    ).toBe(notAfter / 1000);
    expect(
      context.stats.value(
        'listener.test.ssl.certificate.unnamed_ca_cert_e3b0c442.expiration_unix_time_seconds',
      ),
    ).toBeGreaterThan(notAfter / 1000);
    made.close();
  });

  it('of stats before anybody comes', () => {
    const context = testContext();
    downstream(common({}), context).close();
    upstream({}, context).close();
    const counters = [
      ...['connection_error', 'handshake', 'session_reused', 'no_certificate', 'fail_verify_no_cert'],
      ...['fail_verify_error', 'fail_verify_san', 'fail_verify_cert_hash', 'ocsp_staple_failed'],
      ...['ocsp_staple_omitted', 'ocsp_staple_responses', 'ocsp_staple_requests', 'was_key_usage_invalid'],
    ];
    for (const name of counters)
      for (const prefix of ['listener.test', 'cluster.test'])
        expect(context.stats.value(`${prefix}.ssl.${name}`)).toBe(0);
    expect(context.stats.value('listener.test.server_ssl_socket_factory.ssl_context_update_by_sds')).toBe(0);
    expect(
      context.stats.value('listener.test.server_ssl_socket_factory.downstream_context_secrets_not_ready'),
    ).toBe(0);
    expect(
      context.stats.value('cluster.test.client_ssl_socket_factory.upstream_context_secrets_not_ready'),
    ).toBe(0);
  });
});

describe('the extension', () => {
  const DOWN = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
  const UP = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

  it('is one for both messages', () => {
    const registry = new ExtensionRegistry([tls]);
    for (const type of [DOWN, UP])
      expect(registry.resolve('transport-sockets', 'any', type, 'transport_socket')).toBe(tls);
    const down = tls.createDownstream?.(downstreamConfig(common({})) as never, testContext());
    expect(down).toMatchObject({ name: 'tls', secure: true });
    const up = tls.createUpstream?.(upstreamConfig({ sni: 'a.example' }) as never, testContext());
    expect(up).toMatchObject({
      name: 'tls',
      secure: true,
      serverName: 'a.example',
      applicationProtocols: [],
    });
    up?.close?.();
  });

  it('refuses the message of the other side', () => {
    expect(problemsOf(() => tls.createDownstream?.(upstreamConfig({}) as never, testContext()))).toBe(
      `expected ${DOWN}, found ${UP}`,
    );
    expect(problemsOf(() => tls.createUpstream?.(downstreamConfig({}) as never, testContext()))).toBe(
      `expected ${UP}, found ${DOWN}`,
    );
  });

  it('can be had for one side', () => {
    for (const [one, type] of [
      [downstreamTls, DOWN],
      [upstreamTls, UP],
    ] as const)
      expect(new ExtensionRegistry([one]).resolve('transport-sockets', 'any', type, '')).toBe(one);
    expect([downstreamTls.createUpstream, upstreamTls.createDownstream]).toEqual([undefined, undefined]);
  });
});
