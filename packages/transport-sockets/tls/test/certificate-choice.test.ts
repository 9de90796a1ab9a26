import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { TestAuthority, type TestCertificate } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type Config, inline } from './support/config.ts';
import { nodeClient, nodeClientError } from './support/foreign.ts';
import { cleanUp, ServerScene } from './support/scene.ts';

const root = TestAuthority.root();
const names = (...dns: string[]) => dns.map((name) => ({ dns: name }));
const rsa = root.issue({ subject: 'CN=rsa', key: 'rsa2048', san: names('a.example', '*.wild.example') });
const ecdsa = root.issue({ subject: 'CN=ecdsa', san: names('a.example', '*.wild.example') });
const p384 = root.issue({ subject: 'CN=p384', key: 'p384', san: names('p384.example') });
const p521 = root.issue({ subject: 'CN=p521', key: 'p521', san: names('p521.example') });
const ed25519 = root.issue({ subject: 'CN=ed25519', key: 'ed25519', san: names('ed.example') });
const exact = root.issue({ subject: 'CN=exact', san: names('exact.wild.example') });
const common = root.issue({ subject: 'CN=common.example' });
const later = root.issue({ subject: 'CN=later', san: names('a.example') });

afterEach(cleanUp);

async function serve(certificates: readonly TestCertificate[], more: Config = {}): Promise<ServerScene> {
  return ServerScene.start({
    ...more,
    common_tls_context: { tls_certificates: certificates.map(inline) },
  });
}

/** The name in the certificate that Node's client is shown. */
async function shownTo(scene: ServerScene, options: ConnectionOptions): Promise<string> {
  const socket = await nodeClient(scene.port, options);
  const name = new X509Certificate(socket.getPeerX509Certificate()?.raw as Buffer).subject;
  socket.destroy();
  return name;
}

const sni = (servername: string): ConnectionOptions => ({ servername });
const RSA_ONLY: ConnectionOptions = { sigalgs: 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256' };
const RSA_12: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' };
const OLD: ConnectionOptions = { maxVersion: 'TLSv1.2' };

describe('several certificates', () => {
  it.each<[string, TestCertificate[], ConnectionOptions, string, Config?]>([
    ['RSA for who knows only that, by signature algorithms', [ecdsa, rsa], RSA_ONLY, 'rsa'],
    ['RSA for who knows only that, by cipher suites', [ecdsa, rsa], RSA_12, 'rsa'],
    ['RSA for who knows only that, by name', [ecdsa, rsa], { ...RSA_ONLY, ...sni('a.example') }, 'rsa'],
    ['ECDSA for who knows it, whatever comes first', [rsa, ecdsa], {}, 'ecdsa'],
    ['ECDSA with TLS 1.2', [rsa, ecdsa], OLD, 'ecdsa'],
    ['ECDSA by name', [rsa, ecdsa], sni('a.example'), 'ecdsa'],
    ['ECDSA by a name in capitals', [rsa, ecdsa], sni('A.Example'), 'ecdsa'],
    ['a wildcard', [common, rsa, ecdsa], sni('b.wild.example'), 'ecdsa'],
    ['an exact name before a wildcard', [rsa, ecdsa, exact], sni('exact.wild.example'), 'exact'],
    ['a wildcard for one label only', [common, rsa], sni('b.c.wild.example'), 'common.example'],
    ['a common name where there are no others', [rsa, common], sni('common.example'), 'common.example'],
    ['the first of a name', [later, ecdsa], sni('a.example'), 'later'],
    ['the first when no name fits', [common, rsa], sni('other.example'), 'common.example'],
    ['the first when no name fits, which the client may not know', [rsa, ecdsa], sni('other.example'), 'rsa'],
    [
      'one that fits when no name does, if all are to be looked at',
      [rsa, ecdsa],
      sni('other.example'),
      'ecdsa',
      { full_scan_certs_on_sni_mismatch: true },
    ],
    ['one that fits when there is no name', [rsa, ecdsa], {}, 'ecdsa'],
    ['P-384 for who knows the curve', [rsa, p384], {}, 'p384'],
    [
      'RSA for who does not know the curve',
      [p384, rsa],
      { sigalgs: 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256' },
      'rsa',
    ],
    ['RSA for who does not have the group', [p384, rsa], { ...OLD, ecdhCurve: 'P-256' }, 'rsa'],
    ['P-521 by name', [rsa, p521], sni('p521.example'), 'p521'],
    ['Ed25519 by name', [rsa, ed25519], sni('ed.example'), 'ed25519'],
  ])('%s', async (_, certificates, options, name, more) => {
    const scene = await serve(certificates, more);
    expect(await shownTo(scene, options)).toBe(`CN=${name}`);
  });

  it('the only one, though the client cannot verify it: that is for the handshake to say', async () => {
    const scene = await serve([ecdsa]);
    expect(await nodeClientError(scene.port, RSA_ONLY)).toBe('ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE');
  });
});

describe('require_sni', () => {
  it.each<[string, ConnectionOptions, boolean]>([
    ['lets in who names what there is', sni('a.example'), true],
    ['refuses another name', sni('b.example'), false],
    ['refuses no name', {}, false],
  ])('%s', async (_, options, fits) => {
    const scene = await serve([ecdsa], { require_sni: true });
    if (fits) {
      expect(await shownTo(scene, options)).toBe('CN=ecdsa');
      return;
    }
    expect(await nodeClientError(scene.port, options)).toBe('ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE');
    const end = await scene.end();
    await end.untilClosed();
    expect(end.failure).toBe(
      'TLS_error:|268435589:SSL routines:OPENSSL_internal:CONNECTION_REJECTED:TLS_error_end',
    );
    expect(scene.ssl('connection_error')).toBe(1);
  });
});

describe('ALPN', () => {
  const alpn = (protocols: readonly string[]): Promise<ServerScene> =>
    ServerScene.start({
      common_tls_context: { tls_certificates: [inline(ecdsa)], alpn_protocols: [...protocols] },
    });

  it.each<[string, string[], string[] | undefined, string | false]>([
    ['ours decide', ['h2', 'http/1.1'], ['http/1.1', 'h2'], 'h2'],
    ['what both have', ['h2', 'http/1.1'], ['spdy/3', 'http/1.1'], 'http/1.1'],
    ['a list in one text', ['h2,http/1.1'], ['http/1.1'], 'http/1.1'],
    ['none without a common one', ['h2'], ['spdy/3'], false],
    ['none when nobody asks', ['h2'], undefined, false],
    ['none when we have none', [], ['h2'], false],
  ])('%s', async (_, ours, theirs, chosen) => {
    const scene = await alpn(ours);
    const client = await nodeClient(scene.port, theirs === undefined ? {} : { ALPNProtocols: theirs });
    expect(client.alpnProtocol).toBe(chosen);
    const end = await scene.end();
    await end.untilReady();
    expect(end.info.negotiatedProtocol).toBe(chosen === false ? '' : chosen);
    expect(end.info.applicationProtocols).toEqual(theirs ?? []);
  });
});

describe('OCSP', () => {
  const now = Date.now();
  const DAY = 24 * 3600 * 1000;
  const good = root.ocsp(ecdsa, { thisUpdate: now - DAY, nextUpdate: now + DAY });
  const old = root.ocsp(ecdsa, { thisUpdate: now - 9 * DAY, nextUpdate: now - DAY });
  const must = root.issue({
    subject: 'CN=must',
    san: names('a.example'),
    extensions: [{ oid: '1.3.6.1.5.5.7.1.24', value: Buffer.from([0x30, 3, 2, 1, 5]) }],
  });
  const stapled = (certificate: TestCertificate, response: Buffer | undefined): Config => ({
    ...inline(certificate),
    ...(response === undefined ? {} : { ocsp_staple: { inline_bytes: response.toString('base64') } }),
  });

  it.each<[string, Config[], string, string, number, Record<string, number>]>([
    [
      'is stapled',
      [stapled(ecdsa, good)],
      'LENIENT_STAPLING',
      'ecdsa',
      good.length,
      { requests: 1, responses: 1 },
    ],
    [
      'is left out when there is none',
      [stapled(ecdsa, undefined)],
      'LENIENT_STAPLING',
      'ecdsa',
      0,
      { requests: 1, omitted: 1 },
    ],
    [
      'is left out when it is old',
      [stapled(ecdsa, old)],
      'LENIENT_STAPLING',
      'ecdsa',
      0,
      { requests: 1, omitted: 1 },
    ],
    [
      'that is old keeps a certificate from being used',
      [stapled(ecdsa, old), inline(rsa)],
      'STRICT_STAPLING',
      'rsa',
      0,
      { requests: 1, omitted: 1 },
    ],
    [
      'may be missing where it is strict',
      [inline(ecdsa)],
      'STRICT_STAPLING',
      'ecdsa',
      0,
      { requests: 1, omitted: 1 },
    ],
  ])('%s', async (_, certificates, policy, name, length, counts) => {
    const scene = await ServerScene.start({
      ocsp_staple_policy: policy,
      common_tls_context: { tls_certificates: certificates },
    });
    for (const options of [OLD, {}] as ConnectionOptions[]) {
      const { shown, staple } = await withStaple(scene, options);
      expect([shown, staple.length]).toEqual([`CN=${name}`, length]);
    }
    for (const [counter, count] of Object.entries(counts))
      expect([counter, scene.ssl(`ocsp_staple_${counter}`)]).toEqual([counter, 2 * count]);
  });

  it('is sent only to those who ask', async () => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [stapled(ecdsa, good)] },
    });
    await nodeClient(scene.port, {});
    await (await scene.end()).untilReady();
    expect(scene.ssl('ocsp_staple_requests')).toBe(0);
    expect(scene.ssl('handshake')).toBe(1);
  });

  it.each<[string, Config, string]>([
    ['that is old', stapled(ecdsa, old), 'STRICT_STAPLING'],
    [
      'that a certificate demands, and is old',
      stapled(must, root.ocsp(must, { thisUpdate: now - 9 * DAY, nextUpdate: now - DAY })),
      'LENIENT_STAPLING',
    ],
  ])('%s refuses the client when there is no other certificate', async (_, certificate, policy) => {
    const scene = await ServerScene.start({
      ocsp_staple_policy: policy,
      common_tls_context: { tls_certificates: [certificate] },
    });
    expect(await nodeClientError(scene.port, { requestOCSP: true })).toBe(
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    );
    const end = await scene.end();
    await end.untilClosed();
    expect(end.failure).toContain('CONNECTION_REJECTED');
    expect(scene.ssl('ocsp_staple_failed')).toBe(1);
  });

  it.each<[string, Config, string, string]>([
    ['must be there', inline(ecdsa), 'MUST_STAPLE', 'Required OCSP response is missing from TLS context'],
    [
      'must be there for a certificate that says so',
      inline(must),
      'LENIENT_STAPLING',
      'OCSP response is required for must-staple certificate',
    ],
    [
      'must be of the certificate',
      stapled(rsa, good),
      'LENIENT_STAPLING',
      'OCSP response does not match its TLS certificate',
    ],
    ['must be one', stapled(ecdsa, Buffer.from('no')), 'LENIENT_STAPLING', 'Failed to load OCSP response'],
    [
      'must be bytes',
      { ...inline(ecdsa), ocsp_staple: { inline_string: 'x' } },
      'LENIENT_STAPLING',
      'inline_string',
    ],
  ])('%s', async (_, certificate, policy, text) => {
    await expect(
      ServerScene.start({
        ocsp_staple_policy: policy,
        common_tls_context: { tls_certificates: [certificate] },
      }),
    ).rejects.toThrow(text);
  });
});

async function withStaple(
  scene: ServerScene,
  options: ConnectionOptions,
): Promise<{ readonly shown: string; readonly staple: Buffer }> {
  let staple = Buffer.alloc(0);
  const socket = await nodeClient(scene.port, { ...options, requestOCSP: true }, (made) => {
    made.on('OCSPResponse', (response) => {
      staple = Buffer.from(response ?? []);
    });
  });
  const shown = new X509Certificate(socket.getPeerX509Certificate()?.raw as Buffer).subject;
  return { shown, staple };
}
