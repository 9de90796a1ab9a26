import type { JsonObject } from '@dragoman/api';
import { ConfigError, type TextFormatter } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFormatterFactory, OPERATOR_NAMES } from '../src/index.ts';
import { xfccValue } from '../src/operators/xfcc.ts';
import { compileTimeFormat } from '../src/time-format.ts';
import { emptyContext, fullContext, jsonMessage } from './fixtures.ts';

const factory = createFormatterFactory({ env: { A: 'a' } });
const contexts = [emptyContext(), fullContext()];

/** What `compile` made, or undefined when it refused, with an error that says something. */
function accepted<T>(compile: () => T): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const problem of error.problems) expect(problem.message).not.toBe('');
    return undefined;
  }
}

/** A formatter that was taken writes bytes, whatever is known of the stream. */
function writes(formatter: TextFormatter | undefined): void {
  if (formatter === undefined) return;
  for (const context of contexts) expect(formatter.format(context)).toMatch(/^[\x00-\xff]*$/);
}

const word = fc.constantFrom(
  ...OPERATOR_NAMES,
  ...'% %% ( ) ()% )% : ? , " \\ { } [ ] \n \0 \u00e9 \u2028 \ud800 a A 1 :12% x-custom ns %n %3f %E*S'.split(
    ' ',
  ),
  ...[
    'METADATA',
    'ROUTE',
    'PLAIN',
    'FIELD',
    'WQ',
    'ORIG',
    'SNI_FIRST',
    'DS_RX_BEG',
    'US_TX_END',
    'constructor',
  ],
);
const soup = fc.array(word, { maxLength: 12 }).map((words) => words.join(''));
const parameter = fc.oneof(soup, fc.string(), fc.string({ unit: 'binary' }));
const operator = fc
  .tuple(fc.constantFrom(...OPERATOR_NAMES), fc.option(parameter), fc.option(fc.bigInt({ min: 0n })))
  .map(
    ([name, inside, length]) =>
      `%${name}${inside === null ? '' : `(${inside})`}${length === null ? '' : `:${length}`}%`,
  );
const format = fc.oneof(
  soup,
  operator,
  fc.array(fc.oneof(operator, parameter), { maxLength: 4 }).map((parts) => parts.join('')),
);

describe('any format', () => {
  it('is taken or refused, in text', () => {
    fc.assert(
      fc.property(format, fc.boolean(), (text, omitEmptyValues) => {
        writes(accepted(() => factory.text(text, { omitEmptyValues })));
      }),
      { numRuns: 3000 },
    );
  });

  it('is taken or refused, in JSON, and then writes one line of it', () => {
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        format,
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie('value'), { maxKeys: 3, noNullPrototype: true }),
      ),
    }));
    const object = fc.dictionary(fc.string(), value, { maxKeys: 4, noNullPrototype: true });
    fc.assert(
      fc.property(object, fc.boolean(), fc.boolean(), (json, omitEmptyValues, valuesAsText) => {
        const message = jsonMessage(json as JsonObject, omitEmptyValues);
        const formatter = accepted(() => factory.fromConfig(message, { valuesAsText }));
        if (formatter === undefined) return;
        for (const context of contexts) {
          const line = formatter.format(context);
          expect(line.indexOf('\n')).toBe(line.length - 1);
          const parsed = JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
          if (!omitEmptyValues) expect(Object.keys(parsed)).toHaveLength(Object.keys(json).length);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('is taken or refused inside COALESCE', () => {
    const entry = fc.oneof(
      fc.constantFrom(...OPERATOR_NAMES),
      fc.jsonValue(),
      fc.record(
        {
          command: fc.oneof(fc.constantFrom(...OPERATOR_NAMES), fc.jsonValue()),
          param: fc.oneof(parameter, fc.jsonValue()),
          max_length: fc.oneof(fc.nat(), fc.jsonValue()),
        },
        { requiredKeys: ['command'] },
      ),
    );
    const config = fc.oneof(fc.jsonValue(), fc.record({ operators: fc.array(entry, { maxLength: 3 }) }));
    fc.assert(
      fc.property(config, fc.nat(20), (json, length) => {
        const text = JSON.stringify(json).replaceAll(')', '\\u0029');
        const written = `%COALESCE(${text}):${length}%`;
        writes(accepted(() => factory.text(written)));
        writes(accepted(() => factory.fromConfig(jsonMessage({ a: written }))));
      }),
      { numRuns: 1000 },
    );
  });

  it('is taken or refused as a time format', () => {
    fc.assert(
      fc.property(
        fc.oneof(soup, fc.string()),
        fc.double({ min: 0, max: 4e12, noNaN: true }),
        (text, time) => {
          const print = accepted(() => compileTimeFormat(text, false));
          // A format may hold newlines of its own; no conversion makes one.
          if (print !== undefined) expect(print(time).split('\n')).toHaveLength(text.split('\n').length);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('x-forwarded-client-cert', () => {
  const KEYS = ['by', 'hash', 'cert', 'chain', 'subject', 'uri', 'dns'];
  const value = fc.string({ unit: fc.constantFrom(...'ab,;="\\ \t'.split('')) });
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

  it('gives back what a proxy quoted, from the first element that has the key', () => {
    const element = fc.array(fc.tuple(fc.constantFrom(...KEYS), value), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(element, { maxLength: 3 }), fc.constantFrom(...KEYS), (elements, key) => {
        const header = elements
          .map((pairs) => pairs.map(([name, text]) => `${name.toUpperCase()}=${quoted(text)}`).join(';'))
          .join(',');
        const expected = elements.flat().find(([name]) => name === key)?.[1];
        expect(xfccValue(header, key)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('throws at nothing, and is linear in the length', () => {
    fc.assert(
      fc.property(value, (header) => {
        for (const key of KEYS) xfccValue(header, key);
      }),
    );
    for (const part of ['"', '\\', '\\"', ' ', ';', ',', '=', 'uri', 'uri ='])
      expect(xfccValue(part.repeat(60_000), 'dns')).toBeUndefined();
  });
});

it('prints what is no operator as it stands', () => {
  fc.assert(
    fc.property(parameter, (text) => {
      const printed = factory.text(text.replaceAll('%', '%%')).format(emptyContext());
      expect(printed).toBe(utf8Bytes(text));
    }),
  );
});
