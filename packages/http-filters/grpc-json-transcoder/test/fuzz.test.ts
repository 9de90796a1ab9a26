import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonArraySplitter } from '../src/json-array.ts';
import { parseJson, withoutLongNumbers } from '../src/json-text.ts';
import { Refusal } from '../src/refusal.ts';
import { textOfBytes, unescapeBytes } from '../src/unescape.ts';
import { message, messagesIn, Rig } from './support.ts';

const RUNS = 300;
const OK = { 'grpc-status': '0' };

/** The bytes in pieces that end at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  const pieces: Buffer[] = [];
  for (const end of [...ends, bytes.length]) {
    pieces.push(bytes.subarray(from, end));
    from = end;
  }
  return pieces;
}

const places = fc.array(fc.nat(), { maxLength: 8 });
const space = fc.stringMatching(/^[ \n\r\t]{0,3}$/);
const noise = fc.array(
  fc.constantFrom('[', ']', '{', '}', ',', ':', '"', '\\', ' ', '1', '-', 'true', 'null', '"a"', '\xff', 'e'),
  { maxLength: 40 },
);

describe('the splitter of JSON arrays', () => {
  it('gives the elements of any array, in whatever pieces it comes', () => {
    const items = fc.array(fc.tuple(space, fc.jsonValue({ maxDepth: 3 }), space), { maxLength: 6 });
    fc.assert(
      fc.property(items, places, (list, at) => {
        const text = `[${list.map(([a, value, b]) => a + JSON.stringify(value) + b).join(',')}]`;
        const splitter = new JsonArraySplitter(1 << 20);
        const found = cut(Buffer.from(text), at).flatMap((piece) =>
          splitter.push(piece).map((element) => JSON.parse(element.toString())),
        );
        splitter.finish();
        expect(splitter.refusal).toBeUndefined();
        expect(found).toEqual(list.map(([, value]) => JSON.parse(JSON.stringify(value))));
        expect(splitter.pendingBytes).toBe(0);
      }),
      { numRuns: RUNS },
    );
  });

  it('keeps no more than it may, whatever comes, and agrees with itself on pieces', () => {
    const LIMIT = 12;
    const outcome = (pieces: readonly Buffer[]) => {
      const splitter = new JsonArraySplitter(LIMIT);
      const found: string[] = [];
      for (const piece of pieces) {
        for (const element of splitter.push(piece)) {
          expect(element.length).toBeLessThanOrEqual(LIMIT);
          found.push(element.toString('latin1'));
        }
        expect(splitter.pendingBytes).toBeLessThanOrEqual(LIMIT);
      }
      splitter.finish();
      return [found, splitter.refusal];
    };
    fc.assert(
      fc.property(noise, places, (parts, at) => {
        const bytes = Buffer.from(`[${parts.join('')}`, 'latin1');
        expect(outcome(cut(bytes, at))).toEqual(outcome([bytes]));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('JSON texts', () => {
  it('are read as JSON.parse reads them', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        const parsed = parseJson(Buffer.from(text));
        if (parsed instanceof Refusal) throw new Error(parsed.message);
        const plain = parsed.hasLongNumbers ? withoutLongNumbers(parsed.value) : parsed.value;
        expect(plain).toEqual(JSON.parse(text));
      }),
      { numRuns: RUNS },
    );
  });

  it('are read or refused, whatever they are', () => {
    fc.assert(
      fc.property(noise, (parts) => {
        const bytes = Buffer.from(parts.join(''), 'latin1');
        const parsed = parseJson(bytes);
        let isJson = true;
        try {
          JSON.parse(bytes.toString());
        } catch {
          isJson = false;
        }
        expect(parsed instanceof Refusal).toBe(!isJson || bytes.includes(0xff));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('percent coding', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(textOfBytes(unescapeBytes(encodeURIComponent(text), 'all'))).toBe(text);
      }),
      { numRuns: RUNS },
    );
  });

  it('takes anything, and gets no longer', () => {
    const parts = fc.array(fc.constantFrom('%', '2', 'f', '/', '+', 'é', '%2', '%2F', '%%41', '\xff'));
    const specs = fc.constantFrom('all', 'all-but-slash', 'all-but-reserved');
    fc.assert(
      fc.property(parts, specs, fc.boolean(), (list, spec, plus) => {
        const text = list.join('');
        const out = unescapeBytes(text, spec as 'all', plus);
        expect(out.length).toBeLessThanOrEqual(text.length);
        expect(out.split('/').length).toBeGreaterThanOrEqual(text.split('/').length);
        textOfBytes(out);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('requests', () => {
  const names = fc.constantFrom(
    ...['name', 'words', 'light', 'lights', 'open', 'limit', 'offset', 'width', 'cursor', 'like', 'unlike'],
    ...[
      'since',
      'age',
      'fields',
      'max_age',
      'on_loan',
      'labels',
      'ascending',
      'descending',
      'extra',
      'value',
    ],
    ...[
      'detail',
      'within',
      'shelf',
      'lamps',
      'id',
      'title',
      'value',
      'seconds',
      'key',
      '',
      '%2e',
      '__proto__',
    ],
  );
  const values = fc.oneof(
    fc.constantFrom('1', '-1', 'true', 'DAY', '', '%', '%ff', '3s', '{}', 'null', '1e400', '9'.repeat(30)),
    fc.string({ maxLength: 6 }),
  );
  const parameters = fc.array(fc.tuple(fc.array(names, { minLength: 1, maxLength: 4 }), values), {
    maxLength: 5,
  });
  const queries = parameters.map((list) =>
    list.map(([path, value]) => `${path.join('.')}=${value}`).join('&'),
  );
  const jsonNames = names.filter((name) => name !== '');
  const bodies = fc.oneof(
    fc
      .dictionary(jsonNames, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
      .map((value) => JSON.stringify(value)),
    noise.map((parts) => parts.join('')),
  );

  it('are passed, rejected or become messages, whatever their line and body', () => {
    fc.assert(
      fc.property(queries, bodies, places, fc.boolean(), (query, body, at, ignore) => {
        const rig = new Rig(`POST /v1/search?${query.replaceAll(' ', '')}`, {
          ignoreUnknownQueryParameters: ignore,
        });
        const passed = rig.request({ body: cut(Buffer.from(body, 'latin1'), at) });
        rig.filter.onComplete?.();
        expect(rig.gauge('request')).toBe(0);
        if (rig.rejection !== undefined)
          expect(rig.rejection).toMatch(/^400 (early_)?grpc_json_transcode_failure\{\w+\}$/);
        else if (
          rig.stream.requestHeaders.method === 'POST' &&
          rig.stream.requestHeaders.path.startsWith('/gallery')
        )
          expect(messagesIn('SearchRequest', passed.body).length).toBe(1);
        else expect(ignore).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  it('say the same in their line as in their body', () => {
    const fields = fc.record(
      {
        name: fc.string({ unit: 'grapheme', minLength: 1 }),
        words: fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 3 }),
        limit: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        offset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
        open: fc.boolean(),
        light: fc.constantFrom('DAY', 'ARTIFICIAL_WARM'),
        like: fc.record({ title: fc.string({ unit: 'grapheme', minLength: 1 }) }),
        maxAge: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fields, ({ like, words = [], ...rest }) => {
        const pairs = [
          ...Object.entries(rest),
          ...words.map((word) => ['words', word]),
          ...(like === undefined ? [] : [['like.title', like.title]]),
        ];
        const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
        const line = new Rig(`GET /v1/search?${query}`).request();
        const json = JSON.stringify({
          ...rest,
          ...(words.length === 0 ? {} : { words }),
          ...(like === undefined ? {} : { like }),
        });
        const body = new Rig('POST /v1/search').request({ body: [json] });
        expect(line.body).toEqual(body.body);
      }),
      { numRuns: RUNS },
    );
  });

  it('of any method and path throw nothing', () => {
    const lines = fc.tuple(fc.constantFrom('GET', 'POST', 'PUT', '*', ''), fc.string({ maxLength: 30 }));
    fc.assert(
      fc.property(lines, ([method, path]) => {
        new Rig(`${method} ${path.replaceAll(' ', '')}`, {
          requestValidationOptions: { rejectUnknownMethod: true },
          matchUnregisteredCustomVerb: true,
        }).request();
      }),
      { numRuns: RUNS },
    );
  });
});

describe('responses', () => {
  const LINES = [
    'GET /v1/search',
    'GET /v1/rooms/1/works',
    'GET /pages/1',
    'GET /pages/1/all',
    'GET /covers/1',
  ];
  const bytes = fc.uint8Array({ maxLength: 60 });
  const frames = fc.array(
    fc.oneof(
      bytes.map((content) => encodeGrpcFrame(content)),
      bytes.map((content) => Buffer.from(content)),
      fc.constant(encodeGrpcFrame(message('SearchRequest', { name: 'a', words: ['b'] }))),
    ),
    { maxLength: 4 },
  );
  const ends = fc.option(
    fc.dictionary(fc.constantFrom('grpc-status', 'grpc-message', 'grpc-status-details-bin'), fc.string()),
    { nil: undefined },
  );

  it('are transcoded or rejected, whatever they are', () => {
    fc.assert(
      fc.property(fc.constantFrom(...LINES), frames, ends, places, (line, parts, trailers, at) => {
        const rig = new Rig(line, { convertGrpcStatus: true }, { bufferLimit: 200 });
        rig.request();
        rig.respond({ body: cut(Buffer.concat(parts), at), trailers });
        if (rig.rejection !== undefined)
          expect(rig.rejection).toMatch(/^50[02] grpc_json_transcode_failure\{\w+\}$/);
        rig.filter.onComplete?.();
        expect(rig.gauge('response')).toBe(0);
      }),
      { numRuns: RUNS },
    );
  });

  it('are the same in whatever pieces they come', () => {
    const rooms = fc.array(fc.record({ id: fc.nat(), theme: fc.string({ unit: 'grapheme' }) }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(rooms, places, (list, at) => {
        const body = Buffer.concat(
          list.map((room) => encodeGrpcFrame(message('Work', { id: room.id, title: room.theme }))),
        );
        const rig = new Rig('GET /v1/rooms/1/works');
        rig.request();
        const down = rig.respond({ body: cut(body, at), trailers: OK });
        const expected = list.map(({ id, theme }) => ({
          ...(id === 0 ? {} : { id: String(id) }),
          ...(theme === '' ? {} : { title: theme }),
        }));
        expect(JSON.parse(down.body.toString())).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  });
});
