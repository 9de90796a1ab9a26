import {
  type CertificateOptions,
  DAY_MS,
  generateKey,
  type PkiExtension,
  TestAuthority,
  type TestCertificate,
} from '@dragoman/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { CertificateValidator, type PeerPurpose, type ValidatorConfig } from '../src/index.ts';
import { OpenSsl } from './openssl.ts';

/**
 * A grid of chains, judged by us and by `openssl verify` at security level 2. What is not here is where the two differ on purpose: policy
 * constraints (refused here, not looked at there), mailboxes whose case differs, and other issuers that are tried here.
 */
const openssl = new OpenSsl();
afterAll(() => openssl[Symbol.dispose]());

const now = Date.now();
const RSA = generateKey('rsa');
const SHORT = generateKey('rsa1024');
const critical: PkiExtension = { oid: '1.2.3.4', critical: true, value: Buffer.from([5, 0]) };

const ROOTS: Readonly<Record<string, CertificateOptions>> = {
  plain: {},
  rsa: { key: RSA },
  expired: { notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS },
  'no authority': { basicConstraints: { ca: false } },
  'path length 0': { basicConstraints: { ca: true, pathLength: 0 } },
  'may not sign': { keyUsage: ['cRLSign'] },
  'for clients': { extendedKeyUsage: ['clientAuth'] },
  'permits a.example': { nameConstraints: { permitted: [{ dns: 'a.example' }] } },
  'short key': { key: SHORT },
  'SHA-1': { digest: 'sha1' },
  critical: { extensions: [critical] },
};

const AUTHORITIES: Readonly<Record<string, CertificateOptions>> = {
  plain: {},
  rsa: { key: RSA },
  'path length 0': { basicConstraints: { ca: true, pathLength: 0 } },
  expired: { notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS },
  'no authority': { basicConstraints: null, keyUsage: null },
  'may not sign': { keyUsage: ['digitalSignature'] },
  'for servers': { extendedKeyUsage: ['serverAuth'] },
  'excludes b.example': { nameConstraints: { excluded: [{ dns: 'b.example' }, { ip: '10.0.0.0/8' }] } },
  'permits addresses': { nameConstraints: { permitted: [{ ip: '10.0.0.0/8' }, { email: 'a.example' }] } },
  'permits a URI': { nameConstraints: { permitted: [{ uri: 'a.example' }] } },
  'permits O=a': { nameConstraints: { permitted: [{ directoryName: 'O=a' }] } },
  'SHA-1': { digest: 'sha1' },
  critical: { extensions: [critical] },
};

const LEAVES: Readonly<Record<string, CertificateOptions>> = {
  'a.example': { san: [{ dns: 'x.a.example' }] },
  'b.example': { san: [{ dns: 'x.b.example' }] },
  addresses: { san: [{ ip: '10.1.1.1' }, { email: 'u@a.example' }] },
  'another address': { san: [{ ip: '11.1.1.1' }] },
  'a URI': { san: [{ uri: 'https://a.example/x' }] },
  'another URI': { san: [{ uri: 'https://b.example/x' }] },
  'O=a': { subject: 'O=A, CN=x y', san: [{ dns: 'x.a.example' }] },
  rsa: { key: RSA, san: [{ dns: 'a.example' }] },
  ed25519: { key: 'ed25519', san: [{ dns: 'a.example' }] },
  'for clients': { extendedKeyUsage: ['clientAuth'], san: [{ dns: 'a.example' }] },
  'for anything': { extendedKeyUsage: ['any'], san: [{ dns: 'a.example' }] },
  'for whatever': { extendedKeyUsage: undefined, keyUsage: null, san: [{ dns: 'a.example' }] },
  'encipherment only': { keyUsage: ['keyEncipherment'], san: [{ dns: 'a.example' }] },
  'no usage': { keyUsage: ['cRLSign'], san: [{ dns: 'a.example' }] },
  expired: { notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS, san: [{ dns: 'a.example' }] },
  early: { notBefore: now + DAY_MS, san: [{ dns: 'a.example' }] },
  'SHA-1': { digest: 'sha1', san: [{ dns: 'a.example' }] },
  'short key': { key: SHORT, san: [{ dns: 'a.example' }] },
  critical: { extensions: [critical], san: [{ dns: 'a.example' }] },
  'an authority': { basicConstraints: { ca: true }, san: [{ dns: 'a.example' }] },
  'no key identifiers': { keyIdentifiers: false, san: [{ dns: 'a.example' }] },
};

/** Below roots with something about them, not every authority is tried. */
const BELOW_ODD_ROOTS = new Set(['plain', 'path length 0', 'no authority', 'excludes b.example']);

interface Case {
  readonly trusted: readonly TestCertificate[];
  readonly sent: readonly TestCertificate[];
  readonly leaves: Readonly<Record<string, TestCertificate>>;
  readonly peer: PeerPurpose;
  readonly crl?: string;
  readonly onlyLeaf?: boolean;
}

function compare(name: string, { trusted, sent, leaves, peer, crl, onlyLeaf = false }: Case): number {
  const trustedCa = trusted.map(({ pem }) => pem).join('');
  const config: ValidatorConfig = { trustedCa, crl, onlyVerifyLeafCertCrl: onlyLeaf };
  const validator = new CertificateValidator(config);
  const files = Object.values(leaves).map(({ pem }) => openssl.file(pem));
  const args = ['-partial_chain', '-auth_level', '2', '-no-CAfile', '-no-CApath', '-no-CAstore'];
  args.push('-purpose', peer === 'server' ? 'sslserver' : 'sslclient', '-trusted', openssl.file(trustedCa));
  if (sent.length > 0) args.push('-untrusted', openssl.file(sent.map(({ pem }) => pem).join('')));
  if (crl !== undefined) args.push('-CRLfile', openssl.file(crl), onlyLeaf ? '-crl_check' : '-crl_check_all');
  const { output } = openssl.run('verify', ...args, ...files);
  let accepted = 0;
  Object.entries(leaves).forEach(([leafName, leaf], i) => {
    const result = validator.verify([leaf.der, ...sent.map(({ der }) => der)], Date.now(), { peer });
    const theirs = output.includes(`${files[i]}: OK`);
    const ours = result.ok ? 'ok' : result.detail;
    expect(`${result.ok}`, `${name}, ${leafName}, ${peer}: ${ours}; ${output}`).toBe(`${theirs}`);
    if (theirs) accepted++;
  });
  return accepted;
}

function issueAll(authority: TestAuthority): Record<string, TestCertificate> {
  return Object.fromEntries(
    Object.entries(LEAVES).map(([name, options]) => [name, authority.issue(options)]),
  );
}

describe('openssl verify says the same', () => {
  for (const [rootName, rootOptions] of Object.entries(ROOTS)) {
    it(`below a root: ${rootName}`, () => {
      const root = TestAuthority.root(rootOptions);
      const direct = { trusted: [root], sent: [], leaves: issueAll(root) };
      let accepted =
        compare(rootName, { ...direct, peer: 'server' }) + compare(rootName, { ...direct, peer: 'client' });
      for (const [name, options] of Object.entries(AUTHORITIES)) {
        if (rootName !== 'plain' && !BELOW_ODD_ROOTS.has(name)) continue;
        const between = root.intermediate(options);
        const below = { trusted: [root], sent: [between], leaves: issueAll(between) };
        const title = `${rootName}, ${name}`;
        accepted += compare(title, { ...below, peer: 'server' });
        if (rootName === 'plain') accepted += compare(title, { ...below, peer: 'client' });
      }
      if (rootName === 'plain') expect(accepted).toBeGreaterThan(150);
    });
  }

  it('when the middle, the leaf or a stranger is trusted, and with certificates that are missing', () => {
    const root = TestAuthority.root();
    const between = root.intermediate({ subject: 'CN=1' });
    const lower = between.intermediate({ subject: 'CN=2' });
    const {
      'a.example': one,
      expired,
      'for whatever': any,
    } = issueAll(lower) as Record<string, TestCertificate>;
    const leaves = { one, expired, any } as Record<string, TestCertificate>;
    const stranger = TestAuthority.root();
    const sets: readonly (readonly TestCertificate[])[] = [
      [root],
      [between],
      [lower],
      [one as TestCertificate],
      [stranger],
      [root, lower],
      [stranger, between],
    ];
    const chains: readonly (readonly TestCertificate[])[] = [
      [],
      [lower],
      [between],
      [lower, between],
      [between, lower, root],
    ];
    for (const trusted of sets)
      for (const sent of chains)
        compare(`${sets.indexOf(trusted)}, ${chains.indexOf(sent)}`, {
          trusted,
          sent,
          leaves,
          peer: 'server',
        });
  });

  it('about CRLs', () => {
    const root = TestAuthority.root();
    const between = root.intermediate();
    const [good, bad] = [between.issue(), between.issue()];
    const leaves = { good, bad };
    const revoked = [{ serial: bad.serial }];
    const lists: Readonly<Record<string, string>> = {
      'for both': root.crl() + between.crl({ revoked }),
      'for the leaf': between.crl({ revoked }),
      'for the authority': root.crl(),
      'that is expired': root.crl() + between.crl({ thisUpdate: now - 9 * DAY_MS, nextUpdate: now - DAY_MS }),
      'that is early': root.crl({ thisUpdate: now + DAY_MS, nextUpdate: now + 2 * DAY_MS }) + between.crl(),
      'that revokes the authority': root.crl({ revoked: [{ serial: between.serial }] }) + between.crl(),
      'that revokes the root': root.crl({ revoked: [{ serial: root.serial }] }) + between.crl(),
      'that is forged': root.crl() + between.crl({ signer: TestAuthority.root().keys }),
      'with a critical extension': root.crl() + between.crl({ extensions: [critical] }),
      'newer and older':
        root.crl() + between.crl({ thisUpdate: now - 5 * DAY_MS }) + between.crl({ revoked }),
      'without an end': root.crl({ nextUpdate: null }) + between.crl({ nextUpdate: null, revoked }),
    };
    for (const [name, crl] of Object.entries(lists))
      for (const onlyLeaf of [false, true])
        for (const trusted of [[root], [between]])
          compare(`${name}, ${onlyLeaf}`, {
            trusted,
            sent: [between],
            leaves,
            peer: 'server',
            crl,
            onlyLeaf,
          });
  });
});
