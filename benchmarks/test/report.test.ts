import { describe, expect, test } from 'vitest';
import { CASES } from '../src/cases.ts';
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

  test('every HTTP case has a script of its own', () => {
    const scripts = CASES.filter(({ kind }) => kind === 'http').map(wrkScript);
    expect(new Set(scripts).size).toBe(scripts.length - 2);
    const echo = CASES.find(({ name }) => name === 'post-16k') as (typeof CASES)[number];
    expect(wrkScript(echo)).toContain('string.rep("x", 16384)');
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
