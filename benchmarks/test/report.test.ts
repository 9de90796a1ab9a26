import { describe, expect, test } from 'vitest';
import { CASES } from '../src/cases.ts';
import { parseH2load } from '../src/load/h2load.ts';
import { parseWrk, wrkScript } from '../src/load/wrk.ts';
import { parseOptions } from '../src/options.ts';
import { parseRss, parseStat } from '../src/proc.ts';
import { caseTable, figure, markdownTable, median, spreadPercent } from '../src/report.ts';

const known = { cases: ['a', 'b'], peers: ['x'] };

describe('options', () => {
  test('defaults', () => {
    expect(parseOptions([], known)).toMatchObject({
      cases: [],
      peers: [],
      seconds: 5,
      warmup: 2,
      rounds: undefined,
      json: undefined,
    });
  });

  test('lists and numbers', () => {
    const options = parseOptions(
      ['--cases', 'a,b', '--peers=x', '--seconds', '1', '--warmup=0', '--rounds=3'],
      known,
    );
    expect(options).toMatchObject({ cases: ['a', 'b'], peers: ['x'], seconds: 1, warmup: 0, rounds: 3 });
  });

  test.each([
    [['--cases', 'c'], 'no case "c"; there are a, b'],
    [['--peers', 'y'], 'no peer "y"; there are x'],
    [['--seconds', '0.5'], '--seconds takes a whole number of at least 1'],
    [['--rounds', 'many'], '--rounds takes a whole number of at least 1'],
    [['--what'], "Unknown option '--what'"],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args, known)).toThrow(message);
  });
});

describe('/proc', () => {
  test('a process with spaces and parentheses in its name', () => {
    const fields = 'S 7 8 9 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 1 0 1234 1 1';
    expect(parseStat(`42 (a) b (c) ${fields}`)).toEqual({ pid: 42, parent: 7, ticks: 400 });
  });

  test('resident memory', () => {
    expect(parseRss('VmHWM:\t 9 kB\nVmRSS:\t  2048 kB\nRssAnon:\t 1 kB\n')).toBe(2048 * 1024);
    expect(parseRss('Name:\tkthreadd\n')).toBe(0);
  });
});

describe('wrk', () => {
  test('its result is found among what it prints', () => {
    const output =
      'Running 5s test\n  Latency 1ms\nDRAGOMAN {"requests":100,"us":2000000,"bytes":5,"errors":1,"p50":1500,"p99":9000}\n';
    expect(parseWrk(output)).toEqual({ requests: 100, seconds: 2, bytes: 5, errors: 1, p50: 1.5, p99: 9 });
    expect(() => parseWrk('unable to connect')).toThrow('unable to connect');
  });

  test('cases that differ in method, path, body or hosts differ in their scripts', () => {
    const cases = CASES.filter(({ kind, downstream }) => kind === 'http' && downstream === 'http1');
    const asked = cases.map((c) => JSON.stringify([c.method, c.path, c.bodyBytes, c.virtualHosts]));
    expect(new Set(cases.map(wrkScript)).size).toBe(new Set(asked).size);
    const echo = CASES.find(({ name }) => name === 'post-16k') as (typeof CASES)[number];
    expect(wrkScript(echo)).toContain('string.rep("x", 16384)');
  });
});

describe('h2load', () => {
  const output = [
    'finished in 2.00s, 2.00 req/s, 1.05KB/s',
    'requests: 4 total, 4 started, 4 done, 3 succeeded, 1 failed, 0 errored, 0 timeout',
    'traffic: 2.10KB (2148) total, 310B (310) headers (space savings 52.10%), 1.20KB (1229) data',
  ].join('\n');

  test('reads its totals and the durations of its log', () => {
    const log = '10\t200\t1000\n11\t200\t3000\n12\t503\t9000\n13\t302\t2000\n';
    expect(parseH2load(output, log, 2)).toEqual({
      requests: 3,
      seconds: 2,
      bytes: 2148,
      errors: 1,
      p50: 2,
      p99: 3,
    });
  });

  test('a run that broke off says what it printed', () => {
    expect(() => parseH2load('could not connect', '', 2)).toThrow(
      'h2load printed no result: could not connect',
    );
  });
});

describe('figures', () => {
  test.each([
    [[3], 3, 0],
    [[1, 9, 2], 2, 200],
    [[1, 3], 2, 50],
  ])('median and spread of %j', (values, middle, spread) => {
    expect(median(values)).toBe(middle);
    expect(spreadPercent(values)).toBe(spread);
  });

  test.each([
    [0.1234, '0.12'],
    [12.34, '12.3'],
    [123.4, '123'],
    [12345.6, '12,346'],
    [Number.NaN, '-'],
  ])('%d reads %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });

  test('a table', () => {
    expect(
      markdownTable([
        ['proxy', 'n'],
        ['nginx', '1,000'],
      ]),
    ).toBe('| proxy |     n |\n| ----- | ----: |\n| nginx | 1,000 |');
  });

  test('ratios are to nginx, medians over the rounds', () => {
    const sample = (cpuMicros: number) => ({
      perSecond: 1000,
      p50: 1,
      p99: 2,
      cpuMicros,
      mainMicros: 1,
      cpuShare: 0.5,
      rssBytes: 1 << 20,
      errors: 0,
    });
    const table = caseTable(
      CASES[0] as (typeof CASES)[number],
      new Map([
        ['dragoman', [sample(30), sample(34)]],
        ['nginx', [sample(20), sample(20)]],
      ]),
    );
    const cells = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    expect(cells[2]?.slice(1, -1)).toEqual([
      'dragoman',
      '1,000 ±0 %',
      '1.00',
      '2.00',
      '32.0 ±6 %',
      '1.60',
      '-',
      '50 %',
      '1.00',
      '0',
    ]);
    expect(cells[3]?.[6]).toBe('1.00');
  });
});
