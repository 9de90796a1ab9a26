import { type SanEntry, selfSigned } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dnsNameMatch, type SanMatcher, untypedSanMatchers } from '../src/index.ts';
import { verdict, verify } from './support.ts';

describe('dnsNameMatch', () => {
  // The name that is wanted, the pattern in the certificate: the cases of Envoy's own tests and some more.
  const table: readonly (readonly [string, string, boolean])[] = [
    ['lyft.com', 'lyft.com', true],
    ['a.lyft.com', '*.lyft.com', true],
    ['a.LYFT.com', '*.lyft.COM', true],
    ['a.b.lyft.com', '*.lyft.com', false],
    ['foo.test.com', '*.lyft.com', false],
    ['lyft.com', '*.lyft.com', false],
    ['alyft.com', '*.lyft.com', false],
    ['alyft.com', '*lyft.com', true],
    ['lyft.com', '*lyft.com', true],
    ['', '*lyft.com', false],
    ['lyft.com', '', false],
    ['a.b.com', '*.*.com', false],
    ['a.com', '*', false],
    ['com', '*', false],
    ['bar.example.com', 'b*.example.com', true],
    ['bar.example.com', '*r.example.com', true],
    ['bar.example.com', 'b*r.example.com', true],
    ['br.example.com', 'b*r.example.com', true],
    ['r.example.com', 'b*r.example.com', false],
    ['bbr.example.com', 'b**r.example.com', false],
    ['bar.example.com', 'b*a*r.example.com', false],
    ['xn--a.example.com', 'xn--*.example.com', false],
    ['xn--a.example.com', 'x*.example.com', true],
    ['xn--a.example.com', '*.example.com', true],
    ['a.example.com', 'a.*.com', false],
    ['a.example.com', 'a.example.*', false],
    ['*.example.com', '*.example.com', true],
    ['a.example.com.', '*.example.com', false],
    ['.example.com', '*.example.com', true],
  ];
  for (const [name, pattern, expected] of table)
    it(`${name} ${expected ? 'fits' : 'does not fit'} ${pattern}`, () => {
      expect(dnsNameMatch(name, pattern)).toBe(expected);
    });
});

/** A certificate that is trusted as it is, so that names decide. */
function check(
  san: readonly SanEntry[],
  subjectAltNames: readonly SanMatcher[],
  options: Parameters<typeof verify>[2] = {},
  config: Parameters<typeof verify>[0] = {},
): string {
  const leaf = selfSigned({ san });
  return verdict(verify({ trustedCa: leaf.pem, subjectAltNames, ...config }, [leaf.der], options));
}

const exact = (kind: SanMatcher['kind'], text: string, oid?: string): SanMatcher => ({
  kind,
  oid,
  exact: text,
  matches: (san) => san === text,
});
const anything = (kind: SanMatcher['kind'], oid?: string): SanMatcher => ({ kind, oid, matches: () => true });
const prefix = (kind: SanMatcher['kind'], text: string): SanMatcher => ({
  kind,
  matches: (san) => san.startsWith(text),
});
const refused = 'san_matcher@0';

describe('match_typed_subject_alt_names', () => {
  it('wants one name of the kind to match one matcher', () => {
    const san = [{ dns: 'a.example' }, { uri: 'spiffe://td/a' }, { email: 'x@y' }, { ip: '10.0.0.1' }];
    expect(check(san, [exact('dns', 'a.example')])).toBe('ok');
    expect(check(san, [exact('dns', 'b.example'), exact('uri', 'spiffe://td/a')])).toBe('ok');
    expect(check(san, [exact('email', 'x@y')])).toBe('ok');
    expect(check(san, [exact('ip', '10.0.0.1')])).toBe('ok');
    expect(check(san, [exact('uri', 'a.example')])).toBe(refused);
    expect(check(san, [exact('dns', '10.0.0.1')])).toBe(refused);
    expect(check([], [anything('dns')])).toBe(refused);
  });

  it('matches DNS names by wildcard only where the matcher is exact', () => {
    const san = [{ dns: '*.example.com' }];
    expect(check(san, [exact('dns', 'api.example.com')])).toBe('ok');
    expect(check(san, [exact('dns', 'a.b.example.com')])).toBe(refused);
    expect(check(san, [prefix('dns', 'api')])).toBe(refused);
    expect(check([{ uri: '*.example.com' }], [exact('uri', 'api.example.com')])).toBe(refused);
  });

  it('matches other names of the type that is asked for', () => {
    const oid = '1.3.6.1.4.1.311.20.2.3';
    const san = [{ otherName: { oid, value: 'upn@x' } }];
    expect(check(san, [exact('other', 'upn@x', oid)])).toBe('ok');
    expect(check(san, [exact('other', 'upn@x', '1.2.3')])).toBe(refused);
    expect(check(san, [exact('other', 'upn@y', oid)])).toBe(refused);
    expect(() => check(san, [exact('other', 'x')])).toThrow(
      'match_typed_subject_alt_names[0].oid: needed for OTHER_NAME',
    );
    expect(() => check(san, [exact('other', 'x', 'msUPN')])).toThrow('needed for OTHER_NAME');
  });

  it('never matches a name with a NUL, or that is no text', () => {
    const nul = 'good.example\0.evil.example';
    for (const name of [{ dns: nul }, { uri: nul }, { email: nul }] as const) {
      const kind = Object.keys(name)[0] as SanMatcher['kind'];
      for (const matcher of [
        exact(kind, 'good.example'),
        exact(kind, nul),
        prefix(kind, 'good'),
        anything(kind),
      ])
        expect(check([name], [matcher])).toBe(refused);
    }
    const oid = '1.2.3';
    const bmp = { otherName: { oid, value: Buffer.from('1e06006100000062', 'hex') } };
    expect(check([bmp], [anything('other', oid)])).toBe(refused);
    expect(check([{ dns: '\xe4.example' }], [anything('dns')])).toBe(refused);
    expect(check([{ dns: '\xc3\xa4.example' }], [exact('dns', 'ä.example')])).toBe('ok');
    expect(check([{ ip: Buffer.from([10, 0, 0]) }], [anything('ip')])).toBe(refused);
  });

  it('turns deprecated matchers into one for each of four kinds', () => {
    const any = untypedSanMatchers((san) => san === 'a.example', 'a.example');
    expect(any.map(({ kind }) => kind)).toEqual(['dns', 'uri', 'email', 'ip']);
    expect(check([{ uri: 'a.example' }], any)).toBe('ok');
    expect(check([{ dns: '*.example' }], any)).toBe('ok');
    expect(check([{ otherName: { oid: '1.2.3', value: 'a.example' } }], any)).toBe(refused);
  });

  it('says which names there are, safely', () => {
    const leaf = selfSigned({
      san: [{ dns: 'a' }, { dns: 'b\n"\\' }, { uri: 'x'.repeat(2000) }, { dns: 'c' }],
    });
    const result = verify({ trustedCa: leaf.pem, subjectAltNames: [exact('dns', 'z')] }, [leaf.der]);
    const detail = result.ok ? '' : result.detail;
    expect(detail).toBe('verify cert failed: SAN matcher, certificate SANs are [a, b\\x0a\\x22\\x5c, ...]');
  });
});

describe('other names to check', () => {
  it('wants one of a list that a cluster gives, besides the matchers', () => {
    const san = [{ dns: '*.example.com' }, { uri: 'spiffe://a/b' }];
    const list = (...verifySubjectAltNames: readonly string[]) => ({ verifySubjectAltNames });
    expect(check(san, [], list('api.example.com'))).toBe('ok');
    expect(check(san, [], list('x', 'spiffe://a/b'))).toBe('ok');
    expect(check(san, [], list('x'))).toBe('san_list@0');
    expect(check(san, [exact('dns', 'y')], list('api.example.com'))).toBe(refused);
    expect(check(san, [exact('dns', 'api.example.com')], list('api.example.com'))).toBe('ok');
    const leaf = selfSigned({ san });
    const result = verify({ trustedCa: leaf.pem }, [leaf.der], list('x', 'y'));
    expect(result).toMatchObject({
      detail:
        'verify cert failed: verify SAN list, expected SANs: [x, y], certificate SANs: [*.example.com, spiffe://a/b]',
    });
  });

  it('wants the SNI in place of the matchers, when told so', () => {
    const san = [{ dns: '*.example.com' }];
    const config = { autoSniSanValidation: true };
    expect(check(san, [exact('dns', 'y')], { serverName: 'api.example.com' }, config)).toBe('ok');
    expect(check(san, [], { serverName: 'other.com' }, config)).toBe(refused);
    expect(check(san, [exact('dns', 'y')], {}, config)).toBe(refused);
    expect(check(san, [], {}, config)).toBe('ok');
    const options = { serverName: 'other.com', verifySubjectAltNames: ['api.example.com'] };
    expect(check(san, [], options, config)).toBe('ok');
  });
});
