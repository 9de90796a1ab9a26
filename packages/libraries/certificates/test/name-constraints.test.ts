import { type NameConstraints, type PkiExtension, type SanEntry, TestAuthority } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { Chain, verdict, verify } from './support.ts';

/** A leaf with these names below an authority with these constraints. */
function check(constraints: NameConstraints, san: readonly SanEntry[], subject = 'CN=leaf'): string {
  const chain = new Chain({}, { nameConstraints: constraints });
  const leaf = chain.leaf({ san, subject });
  return verdict(verify({ trustedCa: chain.root.pem }, leaf.chainDer));
}

const permitted = (...trees: readonly SanEntry[]): NameConstraints => ({ permitted: trees });
const excluded = (...trees: readonly SanEntry[]): NameConstraints => ({ excluded: trees });
const outside = 'name_not_permitted@0';
const within = 'name_excluded@0';

describe('name constraints', () => {
  const table: readonly (readonly [NameConstraints, SanEntry, string])[] = [
    [permitted({ dns: 'example.com' }), { dns: 'example.com' }, 'ok'],
    [permitted({ dns: 'example.com' }), { dns: 'a.b.EXAMPLE.com' }, 'ok'],
    [permitted({ dns: 'example.com' }), { dns: 'example.com.' }, 'ok'],
    [permitted({ dns: 'example.com' }), { dns: '*.example.com' }, 'ok'],
    [permitted({ dns: 'example.com' }), { dns: 'badexample.com' }, outside],
    [permitted({ dns: 'example.com' }), { dns: 'example.com.evil' }, outside],
    [permitted({ dns: 'example.com' }), { dns: 'com' }, outside],
    [permitted({ dns: '.example.com' }), { dns: 'a.example.com' }, 'ok'],
    [permitted({ dns: '.example.com' }), { dns: 'example.com' }, outside],
    [permitted({ dns: '' }), { dns: 'anything' }, 'ok'],
    [permitted({ dns: 'a.com' }, { dns: 'b.com' }), { dns: 'x.b.com' }, 'ok'],
    [permitted({ dns: 'example.com' }), { dns: 'a.example.com\0.evil.com' }, outside],
    [permitted({ dns: 'example.com' }), { uri: 'spiffe://other/x' }, 'ok'],
    [excluded({ dns: 'example.com' }), { dns: 'a.example.com' }, within],
    [excluded({ dns: 'example.com' }), { dns: 'example.org' }, 'ok'],
    [excluded({ dns: 'foo.example.com' }), { dns: '*.example.com' }, within],
    [excluded({ dns: '' }), { dns: 'a' }, within],
    [permitted({ ip: '10.0.0.0/8' }), { ip: '10.1.2.3' }, 'ok'],
    [permitted({ ip: '10.0.0.0/8' }), { ip: '11.0.0.1' }, outside],
    [permitted({ ip: '10.0.0.0/8' }), { ip: '2001:db8::1' }, outside],
    [permitted({ ip: '2001:db8::/32' }), { ip: '2001:db8:1::1' }, 'ok'],
    [excluded({ ip: '10.0.0.0/8' }), { ip: '10.1.2.3' }, within],
    [excluded({ ip: '10.0.0.0/8' }), { ip: '192.168.0.1' }, 'ok'],
    [permitted({ ip: '0.0.0.0/0' }), { ip: '1.2.3.4' }, 'ok'],
    [permitted({ ip: Buffer.from('0a000000ff00ff00', 'hex') }), { ip: '10.0.0.1' }, 'constraint_syntax@0'],
    [permitted({ ip: Buffer.from('0a0000', 'hex') }), { ip: '10.0.0.1' }, 'constraint_syntax@0'],
    [permitted({ ip: '10.0.0.0/8' }), { ip: Buffer.from('0a0000', 'hex') }, 'name_syntax@0'],
    [permitted({ email: 'example.com' }), { email: 'a@example.com' }, 'ok'],
    [permitted({ email: 'example.com' }), { email: 'a@b.example.com' }, outside],
    [permitted({ email: '.example.com' }), { email: 'a@b.example.com' }, 'ok'],
    [permitted({ email: 'a@example.com' }), { email: 'a@EXAMPLE.com' }, 'ok'],
    [permitted({ email: 'a@example.com' }), { email: 'A@example.com' }, outside],
    [permitted({ email: 'a@example.com' }), { email: 'b@example.com' }, outside],
    [excluded({ email: 'example.com' }), { email: 'a@example.com' }, within],
    [permitted({ email: 'example.com' }), { email: 'no-at' }, 'name_syntax@0'],
    [permitted({ email: 'example.com' }), { email: 'a@b@example.com' }, 'name_syntax@0'],
    [permitted({ email: 'a b@example.com' }), { email: 'a@example.com' }, 'name_syntax@0'],
    [permitted({ uri: 'example.com' }), { uri: 'https://example.com/x' }, 'ok'],
    [permitted({ uri: 'example.com' }), { uri: 'https://example.com:8443/x:y' }, 'ok'],
    [permitted({ uri: 'example.com' }), { uri: 'spiffe://EXAMPLE.com/a:b' }, 'ok'],
    [permitted({ uri: 'example.com' }), { uri: 'https://a.example.com/' }, outside],
    [permitted({ uri: '.example.com' }), { uri: 'https://a.example.com/' }, 'ok'],
    [permitted({ uri: '.example.com' }), { uri: 'https://example.com/' }, outside],
    [permitted({ uri: 'example.com' }), { uri: 'https://evil.com/https://example.com' }, outside],
    [permitted({ uri: 'example.com' }), { uri: 'https://example.com@evil.com/' }, 'name_syntax@0'],
    [permitted({ uri: 'example.com' }), { uri: 'https://evil.com\\@example.com/' }, 'name_syntax@0'],
    [permitted({ uri: 'example.com' }), { uri: 'https://[2001:db8::1]/' }, 'name_syntax@0'],
    [permitted({ uri: 'example.com' }), { uri: 'mailto:a@example.com' }, 'name_syntax@0'],
    [permitted({ uri: 'example.com' }), { uri: 'https:///x' }, 'name_syntax@0'],
    [excluded({ uri: 'example.com' }), { uri: 'https://example.com' }, within],
    [permitted({ directoryName: 'O=a' }), { directoryName: 'O=a, CN=x' }, outside],
    [permitted({ registeredId: '1.2.3' }), { registeredId: '1.2.3' }, 'constraint_type_unsupported@0'],
    [excluded({ registeredId: '1.2.3' }), { registeredId: '1.2.4' }, 'constraint_type_unsupported@0'],
    [
      excluded({ otherName: { oid: '1.2.3', value: 'x' } }),
      { otherName: { oid: '1.2.3', value: 'y' } },
      'constraint_type_unsupported@0',
    ],
  ];
  for (const [constraints, name, expected] of table)
    it(`${JSON.stringify(constraints)} and ${JSON.stringify(name)}: ${expected}`, () => {
      expect(check(constraints, [name])).toBe(expected);
    });

  it('hold for every name', () => {
    expect(check(permitted({ dns: 'a.com' }), [{ dns: 'x.a.com' }, { dns: 'b.com' }])).toBe(outside);
    expect(check(permitted({ dns: 'a.com' }), [])).toBe('ok');
    const both = { permitted: [{ dns: 'a.com' }], excluded: [{ dns: 'x.a.com' }] };
    expect(check(both, [{ dns: 'y.a.com' }])).toBe('ok');
    expect(check(both, [{ dns: 'x.a.com' }])).toBe(within);
  });

  it('hold for the subject', () => {
    expect(check(permitted({ directoryName: 'O=a' }), [{ dns: 'x' }], 'O=A, CN=x')).toBe('ok');
    expect(check(permitted({ directoryName: 'O=a' }), [{ dns: 'x' }], 'CN=x, O=a')).toBe(outside);
    expect(check(excluded({ directoryName: 'O=a' }), [{ dns: 'x' }], 'O=  a , CN=x')).toBe(within);
    expect(check(permitted({ directoryName: 'O=a' }), [{ dns: 'x' }], '')).toBe('ok');
    const mail = (value: string, tag: number) => [{ type: 'emailAddress', value, tag }];
    const ca = new Chain({}, { nameConstraints: excluded({ email: 'a@b.example' }) });
    const one = (value: string, tag: number) =>
      verdict(verify({ trustedCa: ca.root.pem }, ca.leaf({ subject: mail(value, tag) }).chainDer));
    expect(one('A@b.example', 0x16)).toBe(within);
    expect(one('c@b.example', 0x16)).toBe('ok');
    expect(one('a@b.example', 0x0c)).toBe('name_syntax@0');
  });

  it('do not let a common name stand for a name when there are no others', () => {
    const check = (subject: string, constraints: NameConstraints) => {
      const chain = new Chain({}, { nameConstraints: constraints });
      return verdict(verify({ trustedCa: chain.root.pem }, chain.leaf({ subject }).chainDer));
    };
    expect(check('CN=evil.com', permitted({ dns: 'a.com' }))).toBe('constraints_without_sans@0');
    expect(check('CN=*.evil.com.', permitted({ dns: 'a.com' }))).toBe('constraints_without_sans@0');
    expect(check('CN=Some Person', permitted({ dns: 'a.com' }))).toBe('ok');
  });

  it('of all authorities hold, those of the root too', () => {
    const leaf = [{ dns: 'x.a.com' }];
    const chain = new Chain({ nameConstraints: permitted({ dns: 'b.com' }) });
    expect(verdict(verify({ trustedCa: chain.root.pem }, chain.leaf({ san: leaf }).chainDer))).toBe(outside);
    const two = new Chain(
      { nameConstraints: permitted({ dns: 'a.com' }) },
      { nameConstraints: excluded({ dns: 'x.a.com' }) },
    );
    expect(verdict(verify({ trustedCa: two.root.pem }, two.leaf({ san: leaf }).chainDer))).toBe(within);
  });

  it('hold for authorities below, but for those that issued themselves', () => {
    const root = TestAuthority.root({ nameConstraints: permitted({ directoryName: 'O=a' }) });
    const bad = root.intermediate({ subject: 'O=b' });
    const leaf = bad.issue({ subject: 'O=a, CN=x' });
    expect(verdict(verify({ trustedCa: root.pem }, leaf.chainDer))).toBe('name_not_permitted@1');
    const top = root.intermediate({
      subject: 'O=a',
      nameConstraints: permitted({ directoryName: 'O=a, CN=y' }),
    });
    const again = top.intermediate({ subject: 'O=a' });
    const below = again.issue({ subject: 'O=a, CN=y', san: [{ dns: 'y' }] });
    expect(verdict(verify({ trustedCa: root.pem }, below.chainDer))).toBe('ok');
  });

  it('with bounds, or more than can be compared, are refused', () => {
    const bounds = (hex: string): PkiExtension => ({
      oid: '2.5.29.30',
      critical: true,
      value: Buffer.from(hex, 'hex'),
    });
    const check = (extension: PkiExtension) => {
      const chain = new Chain({}, { extensions: [extension] });
      return verdict(verify({ trustedCa: chain.root.pem }, chain.leaf({ san: [{ dns: 'a' }] }).chainDer));
    };
    expect(check(bounds('300aa0083006820161800100'))).toBe('ok');
    expect(check(bounds('300aa0083006820161800101'))).toBe('constraint_bounds@0');
    expect(check(bounds('300aa0083006820161810105'))).toBe('constraint_bounds@0');
    const many = (count: number) => Array.from({ length: count }, (_, i) => ({ dns: `${i}.a.com` }));
    const chain = new Chain({}, { nameConstraints: permitted(...many(1100)) });
    const started = process.hrtime.bigint();
    expect(verdict(verify({ trustedCa: chain.root.pem }, chain.leaf({ san: many(1100) }).chainDer))).toBe(
      'constraints_too_many@0',
    );
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(3000);
  });
});
