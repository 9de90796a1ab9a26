import { type CertificateOptions, DAY_MS, TestAuthority } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { extractTrustDomain, type SpiffeConfig, SpiffeValidator } from '../src/index.ts';
import { verdict } from './support.ts';

const one = TestAuthority.root({ subject: 'CN=One' });
const two = TestAuthority.root({ subject: 'CN=Two' });
const domains = [
  { name: 'one.example', trustBundle: one.pem },
  { name: 'two.example', trustBundle: two.pem },
];
const svid = (authority: TestAuthority, uri: string, options: CertificateOptions = {}) =>
  authority.issue({ san: [{ uri }], ...options });

function check(chain: readonly Buffer[], config: Partial<SpiffeConfig> = {}): string {
  return verdict(new SpiffeValidator({ trustDomains: domains, ...config }).verify(chain, Date.now()));
}

describe('SPIFFE', () => {
  it('checks an SVID against the bundle of its own trust domain', () => {
    expect(check(svid(one, 'spiffe://one.example/a').chainDer)).toBe('ok');
    expect(check(svid(two, 'spiffe://two.example/a').chainDer)).toBe('ok');
    expect(check(svid(one, 'spiffe://two.example/a').chainDer)).toBe('unable_to_get_issuer_locally@0');
    expect(check(svid(one, 'spiffe://three.example/a').chainDer)).toBe('spiffe_trust_domain@0');
    const below = one.intermediate({ subject: 'CN=Below' });
    expect(check(svid(below, 'spiffe://one.example/a').chainDer)).toBe('ok');
  });

  it('wants a leaf that says it signs nothing', () => {
    const uri = 'spiffe://one.example/a';
    expect(check(svid(one, uri, { basicConstraints: { ca: true } }).chainDer)).toBe('spiffe_precheck@0');
    expect(check(svid(one, uri, { keyUsage: ['keyCertSign'] }).chainDer)).toBe('spiffe_precheck@0');
    expect(check(svid(one, uri, { keyUsage: ['digitalSignature', 'cRLSign'] }).chainDer)).toBe(
      'spiffe_precheck@0',
    );
    expect(check(svid(one, uri, { keyUsage: null }).chainDer)).toBe('spiffe_precheck@0');
    expect(check(svid(one, uri, { basicConstraints: { ca: false } }).chainDer)).toBe('ok');
  });

  it('wants one URI that names a domain', () => {
    for (const uri of [
      'https://one.example/a',
      'spiffe://one.example',
      'spiffe://',
      'spiffe:///a',
      'SPIFFE://one.example/a',
      'spiffe://one.example\0/a',
    ])
      expect(check(svid(one, uri).chainDer), uri).toBe('spiffe_trust_domain@0');
    expect(check(one.issue().chainDer)).toBe('spiffe_trust_domain@0');
    const several = [{ uri: 'spiffe://one.example/a' }, { uri: 'spiffe://two.example/admin' }];
    expect(check(one.issue({ san: several }).chainDer)).toBe('spiffe_trust_domain@0');
    const withDns = [{ dns: 'x' }, { uri: 'spiffe://one.example/a' }];
    expect(check(one.issue({ san: withDns }).chainDer)).toBe('ok');
  });

  it('does not look at extended key usage, and wants chains to end in a root', () => {
    const uri = 'spiffe://one.example/a';
    expect(check(svid(one, uri, { extendedKeyUsage: ['codeSigning'] }).chainDer)).toBe('ok');
    const below = one.intermediate({ subject: 'CN=Below' });
    const trustDomains = [{ name: 'one.example', trustBundle: below.pem }];
    expect(check(svid(below, uri).chainDer, { trustDomains })).toBe('unable_to_get_issuer@1');
  });

  it('uses CRLs of the bundle, times and names of kind URI', () => {
    const leaf = svid(one, 'spiffe://one.example/a');
    const trustBundle = one.pem + one.crl({ revoked: [{ serial: leaf.serial }] });
    expect(check(leaf.chainDer, { trustDomains: [{ name: 'one.example', trustBundle }] })).toBe('revoked@0');
    const old = svid(one, 'spiffe://one.example/a', { notAfter: Date.now() - DAY_MS, notBefore: 0 });
    expect(check(old.chainDer)).toBe('expired@0');
    expect(check(old.chainDer, { allowExpiredCertificate: true })).toBe('ok');
    const names = (kind: 'uri' | 'dns', exact: string) => ({
      subjectAltNames: [{ kind, exact, matches: (san: string) => san === exact }],
    });
    expect(check(leaf.chainDer, names('uri', 'spiffe://one.example/a'))).toBe('ok');
    expect(check(leaf.chainDer, names('uri', 'spiffe://one.example/b'))).toBe('spiffe_san@0');
    expect(check(leaf.chainDer, names('dns', 'x'))).toBe('ok');
  });

  it('never throws at a peer, and always wants a certificate', () => {
    expect(check([])).toBe('no_certificate@0');
    expect(check([Buffer.from('x')])).toBe('malformed@0');
    const validator = new SpiffeValidator({ trustDomains: domains });
    expect(validator.mode).toBe('require');
    expect(validator.authorities.map(({ der }) => der)).toEqual([one.der, two.der]);
  });

  it('refuses configs that mean nothing', () => {
    const make = (trustDomains: SpiffeConfig['trustDomains']) => () =>
      new SpiffeValidator({ trustDomains }, 'x');
    const [first] = domains as [(typeof domains)[0]];
    expect(make([])).toThrow('x.trust_domains: needs at least one trust domain');
    expect(make([first, first])).toThrow(
      'x.trust_domains[1].name: Multiple trust bundles are given for one trust domain for one.example',
    );
    expect(make([{ name: 'a', trustBundle: 'x' }])).toThrow(
      'x.trust_domains[0].trust_bundle: holds no certificate',
    );
  });

  it('takes domains out of URIs', () => {
    expect(extractTrustDomain('spiffe://abc.com/')).toBe('abc.com');
    expect(extractTrustDomain('spiffe://dev.envoy.com/workload1')).toBe('dev.envoy.com');
    expect(extractTrustDomain('spiffe://k8s-west.example.com/ns/staging/sa/default')).toBe(
      'k8s-west.example.com',
    );
    for (const uri of ['foo', 'abc.com/', 'abc.com/workload/', 'spiffe://'])
      expect(extractTrustDomain(uri)).toBeUndefined();
  });
});
