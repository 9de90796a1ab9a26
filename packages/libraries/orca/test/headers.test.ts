import { type LoadReport, ResponseHeaders } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_METRICS, MAX_REPORT_CHARS, ORCA_HEADER, ORCA_HEADER_BIN, readLoadReport } from '../src/index.ts';
import { bytesField, doubleField, encode, varint, type Written } from './encode.ts';

function headersOf(...lines: readonly (readonly [string, string])[]): ResponseHeaders {
  const headers = new ResponseHeaders();
  for (const [name, value] of lines) headers.append(name, value);
  return headers;
}

const readValue = (value: string): LoadReport | undefined => readLoadReport(headersOf([ORCA_HEADER, value]));
const readBin = (value: string): LoadReport | undefined =>
  readLoadReport(headersOf([ORCA_HEADER_BIN, value]));
const base64 = (...parts: readonly Buffer[]): string => Buffer.concat(parts).toString('base64');

function whole(report: Written): object {
  const { requestCost, utilization, namedMetrics, ...numbers } = report;
  return {
    cpuUtilization: 0,
    memUtilization: 0,
    applicationUtilization: 0,
    rpsFractional: 0,
    eps: 0,
    ...numbers,
    requestCost: new Map(Object.entries(requestCost ?? {})),
    utilization: new Map(Object.entries(utilization ?? {})),
    namedMetrics: new Map(Object.entries(namedMetrics ?? {})),
  };
}

const EXAMPLE: Written = {
  cpuUtilization: 0.7,
  applicationUtilization: 0.8,
  memUtilization: 0.9,
  rpsFractional: 1000,
  eps: 2,
  utilization: { total: 0.5 },
  namedMetrics: { foo: 123, bar: 0.2 },
};

describe('TEXT', () => {
  const text =
    'cpu_utilization=0.7,application_utilization=0.8, mem_utilization:0.9 ,rps_fractional=1e3,eps: 2,' +
    'named_metrics.foo=123,named_metrics.bar=.2,utilization.total=+0.5';

  it('has numbers and two of the maps', () => {
    expect(readValue(`TEXT ${text}`)).toMatchObject(whole(EXAMPLE));
  });

  it.each([
    ['', {}],
    [',, ,', {}],
    ['eps=0', { eps: 0 }],
    ['named_metrics.a.b=1', { namedMetrics: { 'a.b': 1 } }],
    ['named_metrics.gr\u00c3\u00bcn=1', { namedMetrics: { grün: 1 } }],
    ['cpu_utilization=1.', { cpuUtilization: 1 }],
  ])('"%s" is %j', (value, report) => {
    expect(readValue(`TEXT ${value}`)).toMatchObject(whole(report));
  });

  it.each([
    'cpu_utilization',
    'cpu_utilization=',
    '=1',
    ':1',
    'cpu_utilization=x',
    'cpu_utilization="0.7"',
    'cpu_utilization=0x10',
    'cpu_utilization=nan',
    'cpu_utilization=inf',
    'cpu_utilization=1e999',
    'cpu_utilization=-1',
    'cpu_utilization =1',
    'cpu_utilization=1 2',
    'cpu_utilization=0.7,cpu_utilization=0.7',
    'named_metrics.a=1,named_metrics.a=2',
    'named_metrics.=1',
    'utilization.=1',
    'request_cost.a=1',
    'cpu=1',
    'cpuUtilization=1',
    'eps=1,what=2',
    'named_metrics.\u00ff=1',
  ])('"%s" is no report', (value) => {
    expect(readValue(`TEXT ${value}`)).toBeUndefined();
  });
});

describe('JSON', () => {
  it('has all fields', () => {
    const value = JSON.stringify({
      cpu_utilization: 0.7,
      applicationUtilization: '0.8',
      mem_utilization: 0.9,
      rps: '12',
      rpsFractional: 1000,
      eps: 2,
      request_cost: { bytes: 3487 },
      utilization: { total: 0.5 },
      named_metrics: { foo: 123, bar: '2e-1' },
    });
    expect(readValue(`JSON ${value}`)).toMatchObject(whole({ ...EXAMPLE, requestCost: { bytes: 3487 } }));
  });

  it.each([
    ['{}', {}],
    [' { "eps" : null, "named_metrics" : null } ', {}],
    ['{"eps":-1}', { eps: -1 }],
    ['{"named_metrics":{"__proto__":1}}', { namedMetrics: { ['__proto__']: 1 } }],
    ['{"utilization":{"gr\u00c3\u00bcn":1}}', { utilization: { grün: 1 } }],
  ])('%s is %j', (value, report) => {
    expect(readValue(`JSON ${value}`)).toMatchObject(whole(report));
  });

  it.each([
    '',
    'null',
    '[]',
    '1',
    '{',
    '{"eps":1}x',
    '{"unknown_field":2}',
    '{"__proto__":{}}',
    '{"constructor":1}',
    '{"eps":true}',
    '{"eps":[1]}',
    '{"eps":""}',
    '{"eps":" 1"}',
    '{"eps":"0x1"}',
    '{"eps":"NaN"}',
    '{"eps":1e999}',
    '{"cpu_utilization":1,"cpuUtilization":1}',
    '{"rps":1.5}',
    '{"rps":-1}',
    '{"named_metrics":1}',
    '{"named_metrics":[1]}',
    '{"named_metrics":{"a":null}}',
    '{"named_metrics":{"a":{"b":1}}}',
    '{"named_metrics":{"\u00ff":1}}',
    `{"eps":${'['.repeat(8000)}`,
    `{"eps":${'['.repeat(8000)}${']'.repeat(8000)}}`,
  ])('%s is no report', (value) => {
    expect(readValue(`JSON ${value}`)).toBeUndefined();
  });
});

describe('binary', () => {
  // Sent by a gRPC server written in Go, which leaves the padding out.
  const fromGo = 'CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA';
  const goReport = whole({ cpuUtilization: 0.5, rpsFractional: 100, eps: 2, namedMetrics: { rif: 4 } });

  it.each([fromGo, `${fromGo}==`])('%s is read, in the header of its own and with a prefix', (value) => {
    expect(readBin(value)).toMatchObject(goReport);
    expect(readValue(`BIN ${value}`)).toMatchObject(goReport);
  });

  it.each<[string, readonly Buffer[], Written]>([
    ['every field', [encode({ ...EXAMPLE, requestCost: { a: 1 } })], { ...EXAMPLE, requestCost: { a: 1 } }],
    ['the last of a number', [doubleField(7, 1), doubleField(7, 2)], { eps: 2 }],
    [
      'an entry of a map without value',
      [bytesField(8, bytesField(1, Buffer.from('a')))],
      { namedMetrics: { a: 0 } },
    ],
    ['an entry of a map without key', [bytesField(4, doubleField(2, 3))], { requestCost: { '': 3 } }],
    ['an empty entry', [bytesField(5, Buffer.alloc(0))], { utilization: { '': 0 } }],
    ['rps, which plays no part', [varint(3 * 8), varint(2 ** 40), doubleField(7, 2)], { eps: 2 }],
    [
      'fields that it does not know',
      [doubleField(100, 1), bytesField(101, encode(EXAMPLE)), varint(102 * 8 + 5), Buffer.alloc(4)],
      {},
    ],
    ['a number of another type', [bytesField(1, Buffer.from('x')), doubleField(8, 1)], {}],
    ['a varint of ten bytes', [varint(3 * 8), Buffer.from('ffffffffffffffffff01', 'hex')], {}],
    ['a negative number', [doubleField(1, -1)], { cpuUtilization: -1 }],
  ])('takes %s', (_, parts, report) => {
    expect(readBin(base64(...parts))).toMatchObject(whole(report));
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['padding alone', '=='],
    ['characters of another alphabet', base64(encode(EXAMPLE)).replace(/[A-Z]/, '*')],
    ['the alphabet for URLs', Buffer.from([0xfb, 0xff]).toString('base64url')],
    ['spaces inside', ` ${base64(encode(EXAMPLE))}`],
    ['padding that is too short', `${fromGo}=`],
    ['bits behind the end', 'CR=='],
    ['two reports with a comma between them', `${fromGo},${fromGo}`],
    ['half a report', base64(encode(EXAMPLE).subarray(0, 20))],
    ['half a double', base64(doubleField(1, 1).subarray(0, 5))],
    ['a length beyond the end', base64(varint(8 * 8 + 2), varint(100), Buffer.from('x'))],
    ['a length beyond everything', base64(varint(8 * 8 + 2), varint(2 ** 52))],
    ['a varint without end', base64(varint(3 * 8), Buffer.alloc(11, 0xff))],
    ['a tag alone', base64(varint(3 * 8))],
    ['field number 0', base64(doubleField(0, 1))],
    ['a field number that is too large', base64(varint(2 ** 32 + 1), Buffer.alloc(8))],
    ['a group', base64(varint(3 * 8 + 3), varint(3 * 8 + 4))],
    ['a type that does not exist', base64(varint(3 * 8 + 6))],
    ['no number', base64(doubleField(1, Number.NaN))],
    ['infinity in a map', base64(encode({ namedMetrics: { a: Number.POSITIVE_INFINITY } }))],
    ['a key that is no UTF-8', base64(bytesField(8, bytesField(1, Buffer.from([0xff]))))],
    ['a broken entry', base64(bytesField(8, Buffer.from([9])))],
  ])('%s is no report', (_, value) => {
    expect(readBin(value)).toBeUndefined();
    expect(readValue(`BIN ${value}`)).toBeUndefined();
  });
});

describe('the headers', () => {
  it.each(['', 'TEXT', 'JSON', 'BAD x', 'text eps=1', 'eps=1', ' TEXT eps=1', 'TEXTeps=1'])(
    '"%s" is no report',
    (value) => {
      expect(readValue(value)).toBeUndefined();
    },
  );

  it('may be absent', () => {
    expect(readLoadReport(headersOf(['content-type', 'TEXT eps=1']))).toBeUndefined();
  });

  it('binary comes before the other, also when it is wrong', () => {
    const text = [ORCA_HEADER, 'TEXT eps=1'] as const;
    const right = base64(doubleField(7, 2));
    expect(readLoadReport(headersOf(text, [ORCA_HEADER_BIN, right]))?.eps).toBe(2);
    expect(readLoadReport(headersOf(text, [ORCA_HEADER_BIN, 'wrong']))).toBeUndefined();
  });

  it('of several lines the first counts', () => {
    const lines = headersOf([ORCA_HEADER, 'TEXT eps=1'], [ORCA_HEADER, 'TEXT eps=2']);
    expect(readLoadReport(lines)?.eps).toBe(1);
  });
});

describe('the limits', () => {
  it('lets no value be longer than they say', () => {
    const padded = (length: number): string => `TEXT eps=1${','.repeat(length - 5)}`;
    expect(readValue(padded(MAX_REPORT_CHARS))?.eps).toBe(1);
    expect(readValue(padded(MAX_REPORT_CHARS + 1))).toBeUndefined();
    expect(readBin('A'.repeat(MAX_REPORT_CHARS + 4))).toBeUndefined();
  });

  it('lets no report have more metrics', () => {
    const many = (count: number): Written => ({
      namedMetrics: Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${index}`, index])),
    });
    const forms = (count: number): (LoadReport | undefined)[] => {
      const report = many(count);
      const entries = Object.entries(report.namedMetrics ?? {});
      return [
        readBin(base64(encode(report))),
        readValue(`JSON ${JSON.stringify({ named_metrics: report.namedMetrics })}`),
        readValue(`TEXT ${entries.map(([name, value]) => `named_metrics.${name}=${value}`).join(',')}`),
      ];
    };
    for (const report of forms(MAX_METRICS)) expect(report?.namedMetrics.size).toBe(MAX_METRICS);
    for (const report of forms(MAX_METRICS + 1)) expect(report).toBeUndefined();
  });
});

describe('whatever comes', () => {
  const number = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
  const names = fc.stringMatching(/^[a-z_.]{1,12}$/);
  const map = fc.dictionary(names, number, { maxKeys: 5, noNullPrototype: true });
  const report = fc.record(
    {
      cpuUtilization: number,
      memUtilization: number,
      applicationUtilization: number,
      rpsFractional: number,
      eps: number,
      utilization: map,
      namedMetrics: map,
    },
    { requiredKeys: [] },
  );

  it('a report is the same in all forms', () => {
    fc.assert(
      fc.property(report, (written) => {
        const text = Object.entries(written).flatMap(([name, value]) => {
          const field = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
          return typeof value === 'object'
            ? Object.entries(value).map(([key, entry]) => `${field}.${key}=${entry}`)
            : [`${field}=${value}`];
        });
        expect(readValue(`TEXT ${text.join(',')}`)).toMatchObject(whole(written));
        expect(readValue(`JSON ${JSON.stringify(written)}`)).toMatchObject(whole(written));
        const bytes = encode(written);
        if (bytes.length > 0) expect(readBin(base64(bytes))).toMatchObject(whole(written));
      }),
    );
  });

  it('nothing is thrown, and every number is one', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value));
    const cut = fc.tuple(report, fc.nat(100), bytes).map(([written, at, tail]) => {
      const right = encode(written);
      return Buffer.concat([right.subarray(0, at), tail, right.subarray(at)]);
    });
    const value = fc.oneof(
      fc.oneof(bytes, cut).map((raw) => `BIN ${raw.toString('base64')}`),
      fc
        .constantFrom('TEXT ', 'JSON ', 'BIN ', '')
        .chain((form) => bytes.map((raw) => form + raw.toString('latin1'))),
      fc.json().map((json) => `JSON ${json}`),
      fc
        .array(fc.tuple(fc.constantFrom('eps', 'named_metrics.a', 'utilization.b', 'x'), fc.string()))
        .map((entries) => `TEXT ${entries.map(([name, text]) => `${name}=${text}`).join(',')}`),
    );
    fc.assert(
      fc.property(value, (given) => {
        const found = readValue(given);
        if (found === undefined) return;
        const { requestCost, utilization, namedMetrics } = found;
        const numbers = [found.cpuUtilization, found.memUtilization, found.applicationUtilization];
        for (const entry of [...numbers, found.rpsFractional, found.eps])
          expect(entry).toSatisfy(Number.isFinite);
        for (const entries of [requestCost, utilization, namedMetrics])
          for (const entry of entries.values()) expect(entry).toSatisfy(Number.isFinite);
      }),
      { numRuns: 2000 },
    );
  });
});
