import { selfSigned } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatXfcc, parseXfcc, type XfccElement } from '../src/index.ts';

const hash = '468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688';

function parse(value: string): readonly XfccElement[] {
  const result = parseXfcc(value);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe('formatXfcc', () => {
  it('writes what Envoy writes', () => {
    const by = ['http://frontend.lyft.com'];
    const uri = ['http://testclient.lyft.com'];
    expect(formatXfcc({ by, hash })).toBe(`By=http://frontend.lyft.com;Hash=${hash}`);
    expect(
      formatXfcc({ by, hash, subject: 'CN=Test Client,OU=Lyft', uri, dns: ['lyft.com', 'www.lyft.com'] }),
    ).toBe(
      `By=http://frontend.lyft.com;Hash=${hash};Subject="CN=Test Client,OU=Lyft";URI=http://testclient.lyft.com;DNS=lyft.com;DNS=www.lyft.com`,
    );
    expect(formatXfcc({ by: ['a', 'b'], hash, uri: ['c?d=e', 'f'] })).toBe(
      `By=a;By=b;Hash=${hash};URI=c?d=e;URI=f`,
    );
    expect(formatXfcc({ hash, subject: '', uri: [], dns: [] })).toBe(`Hash=${hash};Subject="";URI=`);
    expect(formatXfcc({ subject: 'O=a\\"b\\,c' })).toBe('Subject="O=a\\"b\\,c"');
  });

  it('encodes PEM as Envoy does', () => {
    const { pem } = selfSigned();
    const encoded = pem
      .replaceAll('\n', '%0A')
      .replaceAll(' ', '%20')
      .replaceAll('+', '%2B')
      .replaceAll('/', '%2F')
      .replaceAll('=', '%3D');
    expect(formatXfcc({ cert: pem, chain: pem + pem })).toBe(
      `Cert="${encoded}";Chain="${encoded}${encoded}"`,
    );
  });

  it('lets no name become a key, an element or a line', () => {
    const evil = 'spiffe://a/b;URI=spiffe://admin,By=x"\r\nx-admin: 1\0ä\\';
    const value = formatXfcc({ hash, uri: [evil], dns: ['a,b'] });
    expect(value).toBe(
      `Hash=${hash};URI="spiffe://a/b;URI=spiffe://admin,By=x\\"%0D%0Ax-admin: 1%00%C3%A4\\\\";DNS="a,b"`,
    );
    const [element, ...more] = parse(value);
    expect(more).toEqual([]);
    expect(element?.dns).toEqual(['a,b']);
    expect(element?.uri).toHaveLength(1);
  });
});

describe('parseXfcc', () => {
  it('reads elements, keys in any case, quotes and PEM', () => {
    const { pem } = selfSigned();
    const value = `by=a;HASH=${hash};Subject="CN=\\"x\\\\,y";uri=;Unknown=1, ${formatXfcc({ cert: pem, dns: ['d', 'e'] })}`;
    expect(parse(value)).toEqual([
      { by: ['a'], hash, subject: 'CN="x\\,y', uri: [] },
      { cert: pem, dns: ['d', 'e'] },
    ]);
    expect(parse('')).toEqual([{}]);
    expect(parse('novalue;By=x=y')).toEqual([{ by: ['x=y'] }]);
  });

  it('refuses a quote that is not closed', () => {
    expect(parseXfcc('Subject="CN=a')).toEqual({ ok: false, error: 'a quote is not closed' });
  });

  it('reads back what was written', () => {
    const text = fc
      .string({
        unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
        minLength: 1,
      })
      .filter((one) => one.trim() === one && !one.startsWith('"'));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), fc.array(text, { minLength: 1 }), (uri, dns) => {
        expect(
          parse([formatXfcc({ hash, uri, dns }), formatXfcc({ hash, uri: dns, dns: uri })].join(',')),
        ).toEqual([
          { hash, uri, dns },
          { hash, uri: dns, dns: uri },
        ]);
      }),
    );
  });

  it('takes anything', () => {
    fc.assert(fc.property(fc.string(), (value) => void parseXfcc(value)));
    const started = performance.now();
    parseXfcc('\\"'.repeat(50_000));
    parseXfcc('a;'.repeat(50_000));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
