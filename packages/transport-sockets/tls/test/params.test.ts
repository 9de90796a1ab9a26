import { constants } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { create, TlsParametersSchema } from '@dragoman/api';
import { TestAuthority } from '@dragoman/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { readCipherSuites } from '../src/params/cipher-suites.ts';
import { paramOptions, readTlsParams } from '../src/params/tls-params.ts';
import { type Config, inline } from './support/config.ts';
import { nodeClient, nodeClientError } from './support/foreign.ts';
import { ClientScene, cleanUp, ServerScene, talk } from './support/scene.ts';

const root = TestAuthority.root();
const ecdsa = root.issue({ subject: 'CN=ecdsa', san: [{ dns: 'a.example' }] });
const rsa = root.issue({ subject: 'CN=rsa', key: 'rsa2048', san: [{ dns: 'a.example' }] });

afterEach(cleanUp);

const names = (...entries: string[]) => readCipherSuites(entries).suites.map(({ name }) => name);

describe('cipher suites', () => {
  it.each<[string, string[], string[]]>([
    ['names', ['ECDHE-RSA-AES128-SHA', 'AES256-SHA'], ['ECDHE-RSA-AES128-SHA', 'AES256-SHA']],
    ['names in one text', ['AES128-SHA:AES256-SHA'], ['AES128-SHA', 'AES256-SHA']],
    ['names by RFC', ['TLS_RSA_WITH_AES_128_CBC_SHA'], ['AES128-SHA']],
    [
      'groups',
      ['[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]', 'AES128-SHA'],
      ['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-CHACHA20-POLY1305', 'AES128-SHA'],
    ],
    [
      'the example of Envoy’s documentation',
      ['-ALL:[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:ECDHE-ECDSA-AES128-SHA'],
      ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-SHA'],
    ],
    [
      'aliases, together',
      ['ECDHE+AESGCM'],
      [
        'ECDHE-ECDSA-AES128-GCM-SHA256',
        'ECDHE-RSA-AES128-GCM-SHA256',
        'ECDHE-ECDSA-AES256-GCM-SHA384',
        'ECDHE-RSA-AES256-GCM-SHA384',
      ],
    ],
    ['one that is forbidden for good', ['!AES128-SHA', 'kRSA+SHA1'], ['AES256-SHA']],
    [
      'some that go, and one that comes back',
      ['kRSA', '-SHA1', 'AES256-SHA'],
      ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'AES256-SHA'],
    ],
    ['some that go to the end', ['AES128-SHA:AES256-SHA:+AES128-SHA'], ['AES256-SHA', 'AES128-SHA']],
    ['an order by strength', ['AES128-SHA:AES256-SHA:@STRENGTH'], ['AES256-SHA', 'AES128-SHA']],
    ['no key that is shared before: it cannot be configured', ['PSK:AES128-SHA'], ['AES128-SHA']],
  ])('%s', (_, entries, expected) => {
    expect(names(...entries)).toEqual(expected);
  });

  it('are Envoy’s where none are given', () => {
    const params = readTlsParams(undefined, 'server');
    expect(params.ciphers.suites.map(({ name }) => name)).toEqual([
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-RSA-CHACHA20-POLY1305',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
    ]);
    expect(params.ciphers.chachaEqual).toBe(true);
    expect(paramOptions(params, []).secureOptions & constants.SSL_OP_PRIORITIZE_CHACHA).not.toBe(0);
    expect([params.minVersion, params.maxVersion]).toEqual(['TLSv1.2', 'TLSv1.3']);
    expect(params.groups.map(({ name }) => name)).toEqual(['X25519', 'P-256']);
    expect(readTlsParams(undefined, 'client').maxVersion).toBe('TLSv1.2');
  });

  it.each([
    [
      ['AES128-SHA', 'NO-SUCH-CIPHER'],
      'Failed to initialize cipher suites AES128-SHA:NO-SUCH-CIPHER. The following ciphers were rejected when tried individually: NO-SUCH-CIPHER',
    ],
    [['!TLS_AES_128_GCM_SHA256:ALL'], 'tried individually: TLS_AES_128_GCM_SHA256'],
    [['[AES128-SHA|-AES256-SHA]'], 'tried individually: -AES256-SHA'],
    [['[AES128-SHA'], 'tried individually: [AES128-SHA'],
    [['DHE-RSA-AES128-GCM-SHA256'], 'DHE-RSA-AES128-GCM-SHA256'],
    [['DES-CBC3-SHA'], "this Node's OpenSSL does not have the cipher suites DES-CBC3-SHA"],
    [['PSK'], 'no cipher suite is left'],
    [['AES128-SHA:-ALL'], 'no cipher suite is left'],
  ])('%j are refused', (entries, text) => {
    expect(() => readCipherSuites(entries)).toThrow(text);
  });

  it('are read from any text without throwing anything else', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('ALL', '!', '-', '+', '[', ']', '|', ':', 'AES128-SHA', '@STRENGTH', 'kRSA', 'x'),
          {
            maxLength: 12,
          },
        ),
        (parts) => {
          try {
            expect(readCipherSuites([parts.join('')]).suites.length).toBeGreaterThan(0);
          } catch (error) {
            expect((error as Error).message).toMatch(/cipher suite/);
          }
        },
      ),
    );
  });
});

describe('parameters', () => {
  const read = (fields: Config) => readTlsParams(create(TlsParametersSchema, fields as never), 'server');

  it.each<[string, Config, string]>([
    [
      'an unknown curve',
      { ecdhCurves: ['P-256', 'brainpoolP256r1'] },
      'ecdh_curves[1]: Failed to initialize ECDH curves',
    ],
    ['a curve of BoringSSL only', { ecdhCurves: ['X25519Kyber768Draft00'] }, 'ecdh_curves[0]'],
    [
      'an unknown algorithm',
      { signatureAlgorithms: ['rsa_md5'] },
      'signature_algorithms[0]: Failed to initialize TLS signature algorithms',
    ],
    [
      'versions the wrong way round',
      { tlsMinimumProtocolVersion: 4, tlsMaximumProtocolVersion: 3 },
      'tls_maximum_protocol_version',
    ],
    ['a cipher suite', { cipherSuites: ['X'] }, 'cipher_suites: Failed to initialize cipher suites X'],
  ])('with %s are refused', (_, fields, text) => {
    expect(() => read(fields)).toThrow(text);
  });

  it.each<[string, Config, ConnectionOptions, string | undefined]>([
    [
      'old versions where they are wanted',
      { tls_minimum_protocol_version: 'TLSv1_0', cipher_suites: ['ALL'] },
      { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
      'TLSv1',
    ],
    [
      'TLS 1.1',
      { tls_minimum_protocol_version: 'TLSv1_1', cipher_suites: ['ALL'] },
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      'TLSv1.1',
    ],
    [
      'no old version otherwise',
      { cipher_suites: ['ALL'] },
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      undefined,
    ],
    ['no new version than they allow', { tls_maximum_protocol_version: 'TLSv1_2' }, {}, 'TLSv1.2'],
    [
      'keys that are encrypted with RSA',
      { cipher_suites: ['AES128-SHA'], tls_maximum_protocol_version: 'TLSv1_2' },
      { ciphers: 'AES128-SHA' },
      'TLSv1.2',
    ],
    [
      'one signature algorithm',
      { signature_algorithms: ['rsa_pss_rsae_sha512'] },
      { sigalgs: 'rsa_pss_rsae_sha256' },
      undefined,
    ],
    ['a hybrid group', { ecdh_curves: ['X25519MLKEM768'] }, {}, 'TLSv1.3'],
  ])('make for %s', async (_, params, options, version) => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [inline(rsa)], tls_params: params },
    });
    if (version === undefined) {
      expect(await nodeClientError(scene.port, options)).toMatch(/^ERR_SSL_/);
      return;
    }
    const client = await nodeClient(scene.port, options);
    expect(client.getProtocol()).toBe(version);
    const end = await scene.end();
    await end.untilReady();
    expect(end.info.tls?.version).toBe(version);
    expect(scene.ssl(`versions.${version}`)).toBe(1);
  });

  it.each([
    [false, 'ECDHE-RSA-AES256-GCM-SHA384'],
    [true, 'ECDHE-RSA-AES128-GCM-SHA256'],
  ])('let the client choose its cipher: %s', async (prefer, cipher) => {
    const scene = await ServerScene.start({
      prefer_client_ciphers: prefer,
      common_tls_context: {
        tls_certificates: [inline(rsa)],
        tls_params: { cipher_suites: ['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES128-GCM-SHA256'] },
      },
    });
    const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384';
    const client = await nodeClient(scene.port, { maxVersion: 'TLSv1.2', ciphers });
    expect(client.getCipher().name).toBe(cipher);
  });

  it.each([
    ['ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ])('let the client choose among equals: %s', async (ciphers, cipher) => {
    const scene = await ServerScene.start({ common_tls_context: { tls_certificates: [inline(ecdsa)] } });
    const client = await nodeClient(scene.port, { maxVersion: 'TLSv1.2', ciphers });
    expect(client.getCipher().name).toBe(cipher);
  });

  it('hold upstream too', async () => {
    const scene = await ServerScene.start({
      common_tls_context: { tls_certificates: [inline(rsa), inline(ecdsa)] },
    });
    const cluster = new ClientScene({
      common_tls_context: {
        tls_params: {
          tls_maximum_protocol_version: 'TLSv1_3',
          ecdh_curves: ['P-256'],
          signature_algorithms: ['rsa_pss_rsae_sha256'],
        },
      },
    });
    const client = cluster.connect(scene.port);
    await talk(client, await scene.end());
    expect(client.info.tls).toMatchObject({ version: 'TLSv1.3', group: 'P-256' });
    expect(client.info.tls?.peerSubject).toBe('CN=rsa');
    expect(cluster.ssl('curves.P-256')).toBe(1);
  });
});

describe('the group', () => {
  const GROUPS = ['X25519', 'P-256', 'P-384', 'P-521', 'X25519MLKEM768'];
  const OF_NODE: Record<string, string> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

  it('that is told is the one that OpenSSL has chosen', async () => {
    let compared = 0;
    const lists = fc.shuffledSubarray(GROUPS, { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(lists, lists, fc.boolean(), fc.boolean(), async (ours, theirs, tls13, clientFirst) => {
        const scene = await ServerScene.start({
          prefer_client_ciphers: clientFirst,
          common_tls_context: { tls_certificates: [inline(ecdsa)], tls_params: { ecdh_curves: ours } },
        });
        const options: ConnectionOptions = {
          ecdhCurve: theirs.join(':'),
          maxVersion: tls13 ? 'TLSv1.3' : 'TLSv1.2',
        };
        const client = await nodeClient(scene.port, options).catch(() => undefined);
        if (client !== undefined) {
          const { name } = client.getEphemeralKeyInfo() as { name: string };
          const end = await scene.end();
          await end.untilReady();
          expect(end.info.tls?.group).toBe(OF_NODE[name] ?? name);
          compared++;
        }
        await cleanUp();
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(20);
  });
});
