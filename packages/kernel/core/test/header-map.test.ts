import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HeaderMap,
  NOT_WELL_KNOWN,
  RequestHeaders,
  ResponseHeaders,
  Trailers,
  WELL_KNOWN_IDS,
  WELL_KNOWN_NAMES,
  type WellKnownHeader,
  wellKnownId,
} from '../src/index.ts';

/** What a header map means, as simply as it can be written. */
class Model {
  lines: [string, string][] = [];

  append(name: string, value: string): void {
    this.lines.push([name, value]);
  }
  set(name: string, value: string): void {
    const first = this.lines.findIndex(([candidate]) => candidate === name);
    if (first < 0) this.append(name, value);
    else
      this.lines = this.lines.flatMap((line, i) =>
        i === first ? [[name, value]] : line[0] === name ? [] : [line],
      );
  }
  remove(name: string): number {
    const before = this.lines.length;
    this.lines = this.lines.filter(([candidate]) => candidate !== name);
    return before - this.lines.length;
  }
  all(name: string): string[] {
    return this.lines.filter(([candidate]) => candidate === name).map(([, value]) => value);
  }
}

/** The first and last bit of each mask, names that share no bit, and names that are not well known. */
const NAMES = [
  WELL_KNOWN_NAMES[0],
  WELL_KNOWN_NAMES[30],
  WELL_KNOWN_NAMES[31],
  WELL_KNOWN_NAMES.at(-1) as string,
  'x-a',
  'x-b',
  '',
];
const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom('', '1', '2', 'a, b');
const operation = fc.oneof(
  fc.record({ op: fc.constant('append' as const), name, value }),
  fc.record({ op: fc.constant('set' as const), name, value }),
  fc.record({ op: fc.constant('remove' as const), name, value }),
  fc.record({ op: fc.constant('removeWhere' as const), name, value }),
  fc.record({ op: fc.constant('known' as const), name, value }),
);

describe('a header map', () => {
  it('behaves as a list of lines does', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const map = new HeaderMap();
        const model = new Model();
        for (const step of operations) {
          const id = WELL_KNOWN_IDS.get(step.name);
          if (step.op === 'remove') expect(map.remove(step.name)).toBe(model.remove(step.name));
          else if (step.op === 'removeWhere') {
            map.removeWhere((_, candidate) => candidate === step.value);
            model.lines = model.lines.filter(([, candidate]) => candidate !== step.value);
          } else if (step.op === 'known') {
            if (id === undefined) continue;
            if (step.value === '') {
              map.removeKnown(id);
              model.remove(step.name);
            } else {
              map.setKnown(id, step.value);
              model.set(step.name, step.value);
            }
          } else {
            map[step.op](step.name, step.value);
            model[step.op](step.name, step.value);
          }
          expect(map.entries()).toEqual(model.lines);
          expect(map.size).toBe(model.lines.length);
          expect(map.ids).toEqual(model.lines.map(([line]) => WELL_KNOWN_IDS.get(line) ?? NOT_WELL_KNOWN));
          for (const asked of NAMES) {
            const all = model.all(asked);
            expect(map.getAll(asked)).toEqual(all);
            expect(map.get(asked)).toBe(all[0]);
            expect(map.has(asked)).toBe(all.length > 0);
            expect(map.getJoined(asked)).toBe(all.length === 0 ? undefined : all.join(','));
            const known = WELL_KNOWN_IDS.get(asked);
            if (known !== undefined) {
              expect(map.hasKnown(known)).toBe(all.length > 0);
              expect(map.getKnown(known)).toBe(all[0]);
            }
          }
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('tells well-known headers apart by bits of their own', () => {
    expect(new Set(WELL_KNOWN_NAMES).size).toBe(WELL_KNOWN_NAMES.length);
    expect(WELL_KNOWN_NAMES.length).toBeLessThanOrEqual(62);
    for (const known of WELL_KNOWN_NAMES) {
      const map = new HeaderMap();
      map.append(known, 'v');
      expect(WELL_KNOWN_NAMES.filter((_, id) => map.hasKnown(id))).toEqual([known]);
      expect(map.getKnown(wellKnownId(known as WellKnownHeader))).toBe('v');
    }
  });

  it('counts the bytes of names and values, pseudo-headers included', () => {
    const headers = new ResponseHeaders();
    headers.status = 204;
    headers.append('a', 'bc');
    expect(headers.byteSize()).toBe(':status'.length + 3 + 1 + 2);
  });

  it('appends the lines of another', () => {
    const from = new RequestHeaders();
    from.path = '/';
    from.append('te', 'trailers');
    const to = new Trailers();
    to.appendAll(from);
    expect(to.entries()).toEqual([['te', 'trailers']]);
    expect(to.hasKnown(wellKnownId('te'))).toBe(true);
  });
});

describe('pseudo-headers', () => {
  it('of a request are fields, answer to their names and come first', () => {
    const headers = new RequestHeaders();
    headers.append('x', '1');
    for (const [field, text] of [
      [':method', 'GET'],
      [':path', '/p'],
      ['host', 'h'],
      [':scheme', 'https'],
      [':protocol', 'websocket'],
    ]) {
      headers.append(field, text);
      expect(headers.get(field)).toBe(text);
      expect(headers.getAll(field)).toEqual([text]);
      expect(headers.getJoined(field)).toBe(text);
    }
    expect(headers.size).toBe(1);
    expect(headers.authority).toBe('h');
    expect(headers.get(':authority')).toBe('h');
    expect(headers.entries()).toEqual([
      [':authority', 'h'],
      [':path', '/p'],
      [':method', 'GET'],
      [':scheme', 'https'],
      [':protocol', 'websocket'],
      ['x', '1'],
    ]);
  });

  it('that are absent are undefined', () => {
    const headers = new RequestHeaders();
    for (const field of [':method', ':path', ':authority', 'host', ':scheme', ':protocol', ':status']) {
      expect(headers.get(field)).toBeUndefined();
      expect(headers.has(field)).toBe(false);
      expect(headers.getAll(field)).toEqual([]);
    }
    expect(headers.entries()).toEqual([]);
  });

  it('cannot be removed, and those of another kind are dropped', () => {
    const headers = new RequestHeaders();
    headers.set(':path', '/');
    headers.set(':status', '200');
    headers.append(':nonsense', '1');
    expect(headers.remove(':path')).toBe(0);
    expect(headers.entries()).toEqual([[':path', '/']]);
    const trailers = new Trailers();
    trailers.append(':path', '/');
    expect(trailers.entries()).toEqual([]);
  });

  it.each([
    ['200', 200],
    ['999', 999],
    ['99', 0],
    ['1000', 0],
    ['2e2', 0],
    ['0xc8', 0],
    [' 200', 0],
    ['', 0],
    ['abc', 0],
  ])(':status %j is %i', (text, status) => {
    const headers = new ResponseHeaders();
    headers.set(':status', text);
    expect(headers.status).toBe(status);
  });

  it('of a clone are its own', () => {
    const headers = new RequestHeaders();
    headers.path = '/';
    headers.append('te', 'trailers');
    const copy = headers.clone();
    copy.path = '/other';
    copy.remove('te');
    expect(headers.entries()).toEqual([
      [':path', '/'],
      ['te', 'trailers'],
    ]);
    expect(copy.entries()).toEqual([[':path', '/other']]);
  });
});
