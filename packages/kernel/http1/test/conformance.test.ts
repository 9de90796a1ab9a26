import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { response, serverRig } from './fake-connection.ts';

const FOLDER = resolve(
  dirname(fileURLToPath(import.meta.url)),
  '../../../../../shared/conformance/http1-desync',
);

interface Case {
  readonly name: string;
  readonly uri: string;
  readonly method: string;
  readonly version: string;
  readonly headers?: readonly { readonly name: string; readonly value: unknown }[];
  readonly expected: { readonly tier: 'Compliant' | 'Acceptable' | 'Ambiguous' | 'Severe' };
}

/** Where our answer is stricter than the tier asks for, with the reason. */
const NAME_RULE =
  'RFC 9112 section 5.1: whitespace before the colon, and bytes that are no token, are 400 in any name';
const VALUE_RULE = 'RFC 9110 section 5.5: control characters are invalid in any value';
const CODING_RULE =
  'RFC 9112 section 6.1: transfer codings other than chunked are not supported: 501, as Envoy';
const LINE_RULE = 'RFC 9112 section 3: one space, no empty target, no blank in it';
const VERSION_RULE = 'RFC 9112 section 2.3: HTTP/1.1 and, where it is allowed, HTTP/1.0';
const STRICTER: Readonly<Record<string, string>> = {
  'No TE/CL headers, some others are non-compliant': NAME_RULE,
  'TE and some others are non-compliant': NAME_RULE,
  'CL and some others are non-compliant': NAME_RULE,
  'A non-essential header with a non-printable character (x01)': NAME_RULE,
  'Some-Header\\x01': NAME_RULE,
  '\\x01Some-Header': NAME_RULE,
  'Some-Header: \\x01value': VALUE_RULE,
  'Some-Header: value\\x01': VALUE_RULE,
  'Non-RFC, but OK HTTP/0.9': VERSION_RULE,
  'Empty version, which means HTTP/0.9': VERSION_RULE,
  'Unknown but OK HTTP/1.2': VERSION_RULE,
  'Extra spaces in version': LINE_RULE,
  '[space] in URI': LINE_RULE,
  'Empty URI': LINE_RULE,
  'Correct TE OK': CODING_RULE,
  'Transfer-Encoding: identity and chunked OK': CODING_RULE,
  'Multiple transfer encoding headers in a single request OK': CODING_RULE,
  'TE with custom parameters OK': CODING_RULE,
  'Different Transfer-Encoding headers': CODING_RULE,
  'Different Transfer-Encoding headers combined': CODING_RULE,
  'Transfer-Encoding with a param: chunked;custom_param': CODING_RULE,
};

/** Escapes that single-quoted and plain YAML strings leave alone. */
function expand(text: string): string {
  return text
    .replace(/\\x([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\\t/g, '\t')
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n');
}

/** The request as bytes: text beyond latin1 as UTF-8. */
function bytesOf(test: Case): Buffer {
  const lines = (test.headers ?? []).map(
    ({ name, value }) => `${expand(name)}: ${expand(String(value ?? ''))}`,
  );
  const host = (test.headers ?? []).some(({ name }) => /host/i.test(name)) ? [] : ['Host: a.example'];
  const text = [`${test.method} ${expand(test.uri)} ${test.version}`, ...host, ...lines, '', ''].join('\r\n');
  return Buffer.from(text, /[\u0100-\uffff]/.test(text) ? 'utf8' : 'latin1');
}

/** `closed`: forwarded with one clear length, and the connection ends with the response. */
function judge(test: Case): 'forwarded' | 'closed' | number {
  const rig = serverRig({ acceptHttp10: true });
  rig.feed(bytesOf(test));
  const [error] = rig.errors;
  if (error !== undefined) {
    expect(rig.exchanges, 'refused and forwarded').toHaveLength(0);
    expect(rig.connection.out).toMatch(/connection: close\r\n/);
    expect(rig.done).toBe(1);
    return error.status;
  }
  expect(rig.exchanges, 'neither refused nor forwarded').toHaveLength(1);
  const [exchange] = rig.exchanges;
  expect(
    exchange?.headers?.has('content-length') === true && exchange.headers.has('transfer-encoding'),
    'two lengths',
  ).toBe(false);
  exchange?.encoder.headers(response(200), true);
  return /connection: close\r\n/.test(rig.connection.out) ? 'closed' : 'forwarded';
}

const present = existsSync(FOLDER);

describe('the http1-desync cases', () => {
  it.runIf(!present && process.env.CI === 'true')('are there', () => {
    expect.fail(`${FOLDER} is missing`);
  });

  if (!present) {
    it.skip(`are not in ${FOLDER}: nothing to run`, () => {});
    return;
  }

  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
    describe(file, () => {
      for (const test of parse(readFileSync(join(FOLDER, file), 'utf8')) as Case[]) {
        it(`${test.expected.tier}: ${test.name}`, () => {
          const verdict = judge(test);
          const { tier } = test.expected;
          if (tier === 'Severe') expect(verdict).toBe(400);
          else if (tier === 'Ambiguous') expect([400, 501, 'closed']).toContain(verdict);
          else if (STRICTER[test.name] !== undefined) expect(typeof verdict).toBe('number');
          else expect(typeof verdict).toBe('string');
        });
      }
    });
  }
});
