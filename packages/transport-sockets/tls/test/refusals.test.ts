import { createHash } from 'node:crypto';
import { DAY_MS, selfSigned, TestAuthority, type TestCertificate } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type Config, inline } from './support/config.ts';
import { ClientScene, cleanUp, type End, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const between = root.intermediate();
const foreign = TestAuthority.root({ subject: 'CN=Foreign Root' });
const good = between.issue({ subject: 'CN=good', san: [{ dns: 'a.example' }] });
const revoked = root.issue({ subject: 'CN=revoked', san: [{ dns: 'a.example' }] });
const kept = root.issue({ subject: 'CN=kept', san: [{ dns: 'a.example' }] });
const crl = root.crl({ revoked: [{ serial: revoked.serial }] });
const now = Date.now();
const hash = (certificate: TestCertificate) => createHash('sha256').update(certificate.der).digest('hex');

const verifyFailed = (detail: string) =>
  `TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: ${detail}:TLS_error_end`;
const chain = (depth: number, text: string) =>
  verifyFailed(`X509_verify_cert: certificate verification error at depth ${depth}: ${text}`);

const trusted = { trusted_ca: { inline_string: root.pem } };
const dnsSan = (exact: string): Config => ({
  ...trusted,
  match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact } }],
});

interface Case {
  readonly shown: TestCertificate;
  readonly rules: Config;
  readonly reason: string;
  readonly counter: string;
}

const CASES: Record<string, Case> = {
  expired: {
    shown: root.issue({ san: [{ dns: 'a.example' }], notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS }),
    rules: trusted,
    reason: chain(0, 'certificate has expired'),
    counter: 'fail_verify_error',
  },
  'not valid yet': {
    shown: root.issue({ san: [{ dns: 'a.example' }], notBefore: now + DAY_MS, notAfter: now + 9 * DAY_MS }),
    rules: trusted,
    reason: chain(0, 'certificate is not yet valid'),
    counter: 'fail_verify_error',
  },
  'self-signed': {
    // BoringSSL takes one for self-signed only when its key may sign certificates.
    shown: selfSigned({
      san: [{ dns: 'a.example' }],
      keyUsage: ['digitalSignature', 'keyCertSign'],
    }),
    rules: trusted,
    reason: chain(0, 'self signed certificate'),
    counter: 'fail_verify_error',
  },
  'of an unknown authority': {
    shown: foreign.issue({ san: [{ dns: 'a.example' }] }),
    rules: trusted,
    reason: chain(0, 'unable to get local issuer certificate'),
    counter: 'fail_verify_error',
  },
  revoked: {
    shown: revoked,
    rules: { ...trusted, crl: { inline_string: crl } },
    reason: chain(0, 'certificate revoked'),
    counter: 'fail_verify_error',
  },
  'of another name': {
    shown: good,
    rules: dnsSan('b.example'),
    reason: verifyFailed('SAN matcher, certificate SANs are [a.example]'),
    counter: 'fail_verify_san',
  },
  'of a name with a NUL in it': {
    shown: root.issue({ san: [{ dns: 'b.example\0.evil.example' }] }),
    rules: dnsSan('b.example'),
    reason: verifyFailed('SAN matcher, certificate SANs are [b.example\\x00.evil.example]'),
    counter: 'fail_verify_san',
  },
  'of another hash': {
    shown: good,
    rules: { ...trusted, verify_certificate_hash: [hash(kept)] },
    reason: verifyFailed('cert hash and spki'),
    counter: 'fail_verify_cert_hash',
  },
};

const VERSIONS = ['TLSv1_2', 'TLSv1_3'] as const;
const only = (version: (typeof VERSIONS)[number]): Config => ({
  tls_minimum_protocol_version: version,
  tls_maximum_protocol_version: version,
});

afterEach(cleanUp);

async function refused(end: End, reason: string): Promise<void> {
  await end.untilClosed();
  expect(end.failure).toBe(reason);
  expect(end.closed).toBe(`remote: ${reason}`);
  expect([end.ready, end.received]).toEqual([false, '']);
  expect(end.info.tls).toBeUndefined();
}

describe.each(VERSIONS)('with %s', (version) => {
  it.each(Object.entries(CASES))('a client is refused whose certificate is %s', async (_, one) => {
    const scene = await ServerScene.start({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [inline(good)],
        tls_params: only(version),
        validation_context: one.rules,
      },
    });
    const cluster = new ClientScene({
      common_tls_context: { tls_certificates: [inline(one.shown)], tls_params: only(version) },
    });
    const client = cluster.connect(scene.port);
    // With TLS 1.3 a client may send at once: nobody gets it.
    client.connection.writeText('early');
    await refused(await scene.end(), one.reason);
    expect(scene.ssl(one.counter)).toBe(1);
    expect([scene.ssl('handshake'), scene.ssl('connection_error')]).toEqual([0, 0]);
    await client.untilClosed();
    expect(client.received).toBe('');
  });

  it.each(Object.entries(CASES))('a server is refused whose certificate is %s', async (_, one) => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [inline(one.shown)], tls_params: only(version) },
    });
    const cluster = new ClientScene({
      sni: 'a.example',
      common_tls_context: { tls_params: only(version), validation_context: one.rules },
    });
    const client = cluster.connect(scene.port);
    await refused(client, one.reason);
    expect(cluster.ssl(one.counter)).toBe(1);
    expect([cluster.ssl('handshake'), cluster.ssl('connection_error')]).toEqual([0, 0]);
    const server = await scene.end();
    await server.untilClosed();
    expect(server.received).toBe('');
  });

  it('a client is refused that shows none, and is told so', async () => {
    const scene = await ServerScene.start({
      require_client_certificate: true,
      common_tls_context: {
        tls_certificates: [inline(good)],
        tls_params: only(version),
        validation_context: trusted,
      },
    });
    const cluster = new ClientScene({ common_tls_context: { tls_params: only(version) } });
    const client = cluster.connect(scene.port);
    await refused(
      await scene.end(),
      'TLS_error:|268435648:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:peer did not provide required client certificate:TLS_error_end',
    );
    expect(scene.ssl('fail_verify_no_cert')).toBe(1);
    expect(scene.ssl('connection_error')).toBe(0);
    await client.untilClosed();
    const alert =
      version === 'TLSv1_3'
        ? '268436572:SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED'
        : '268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE';
    expect(client.failure).toBe(`TLS_error:|${alert}:TLS_error_end`);
    expect(client.closed).toBe(`remote: TLS_error:|${alert}:TLS_error_end`);
    expect(cluster.ssl('connection_error')).toBe(1);
  });

  it('a client that is asked may go without', async () => {
    const scene = await ServerScene.start({
      common_tls_context: {
        tls_certificates: [inline(good)],
        tls_params: only(version),
        validation_context: trusted,
      },
    });
    const cluster = new ClientScene({ common_tls_context: { tls_params: only(version) } });
    await talk(cluster.connect(scene.port), await scene.end());
    const { tls } = (await scene.end()).info;
    expect([tls?.peerCertificateValidated, tls?.peerSubject, tls?.peerCertificatePem]).toEqual([
      false,
      undefined,
      undefined,
    ]);
    expect(scene.ssl('no_certificate')).toBe(1);
  });

  it('a certificate that is refused may be accepted, and is not taken for a valid one', async () => {
    const scene = await ServerScene.start({
      common_tls_context: {
        tls_certificates: [inline(good)],
        tls_params: only(version),
        validation_context: { ...trusted, trust_chain_verification: 'ACCEPT_UNTRUSTED' },
      },
    });
    const expired = CASES['expired'] as Case;
    const cluster = new ClientScene({
      common_tls_context: { tls_certificates: [inline(expired.shown)], tls_params: only(version) },
    });
    await talk(cluster.connect(scene.port), await scene.end());
    expect((await scene.end()).info.tls?.peerCertificateValidated).toBe(false);
    expect(scene.ssl('fail_verify_error')).toBe(1);
    expect(scene.ssl('handshake')).toBe(1);
  });
});

describe('names that a stream asks for', () => {
  it.each([
    ['a.example', undefined],
    ['b.example', verifyFailed('verify SAN list, expected SANs: [b.example], certificate SANs: [a.example]')],
  ])('%s', async (name, reason) => {
    const scene = await ServerScene.start({ common_tls_context: { tls_certificates: [inline(good)] } });
    const cluster = new ClientScene({ common_tls_context: { validation_context: trusted } });
    const client = cluster.connect(scene.port, {
      key: name,
      serverName: name,
      verifySubjectAltNames: [name],
    });
    if (reason === undefined) await talk(client, await scene.end());
    else await refused(client, reason);
    expect((await scene.end()).info.requestedServerName).toBe(name);
  });
});

describe('parameters that do not fit', () => {
  it('no cipher suite in common', async () => {
    const scene = await ServerScene.start({
      common_tls_context: {
        tls_certificates: [inline(good)],
        tls_params: { ...only('TLSv1_2'), cipher_suites: ['ECDHE-ECDSA-AES128-GCM-SHA256'] },
      },
    });
    const cluster = new ClientScene({
      common_tls_context: { tls_params: { cipher_suites: ['ECDHE-ECDSA-AES256-GCM-SHA384'] } },
    });
    const client = cluster.connect(scene.port);
    await refused(
      await scene.end(),
      'TLS_error:|268435640:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER:TLS_error_end',
    );
    await refused(
      client,
      'TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE|268435610:SSL routines:OPENSSL_internal:HANDSHAKE_FAILURE_ON_CLIENT_HELLO:TLS_error_end',
    );
    expect([scene.ssl('connection_error'), cluster.ssl('connection_error')]).toEqual([1, 1]);
  });

  it('no version in common', async () => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [inline(good)], tls_params: only('TLSv1_3') },
    });
    const cluster = new ClientScene({ common_tls_context: { tls_params: only('TLSv1_2') } });
    const client = cluster.connect(scene.port);
    await refused(
      await scene.end(),
      'TLS_error:|268435696:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL:TLS_error_end',
    );
    await refused(
      client,
      'TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end',
    );
  });
});
