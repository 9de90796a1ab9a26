import {
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogType,
  checkConstraints,
  create,
  GrpcStatusFilter_Status,
  type MessageInitShape,
} from '@dragoman/api';
import {
  ConfigError,
  emptyRuntime,
  type LogContext,
  ResponseFlag,
  type Runtime,
  responseFlagsShort,
} from '@dragoman/core';
import { FakeClock, SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createAccessLogFilter } from '../src/index.ts';
import { emptyContext, fullContext, START, START_WALL } from './fixtures.ts';

type Specifier = NonNullable<MessageInitShape<typeof AccessLogFilterSchema>['filterSpecifier']>;

const message = (filterSpecifier: Specifier): AccessLogFilter =>
  create(AccessLogFilterSchema, { filterSpecifier });

function filter(filterSpecifier: Specifier, runtime: Runtime = emptyRuntime) {
  const clock = new FakeClock(START_WALL, START + 500);
  return createAccessLogFilter(message(filterSpecifier), { runtime, random: new SeededRandom(), clock });
}

function changed(change: (context: LogContext) => void): LogContext {
  const context = fullContext();
  change(context);
  return context;
}

const compare = (op: 0 | 1 | 2, defaultValue: number, runtimeKey = 'key') => ({
  comparison: { op, value: { defaultValue, runtimeKey } },
});
/** A runtime with these numbers. */
const runtimeOf = (values: ReadonlyMap<string, number>): Runtime => ({
  ...emptyRuntime,
  getInteger: (key, fallback) => values.get(key) ?? fallback,
});
const status = (code: number) => changed(({ info }) => void (info.responseCode = code));

describe('access log filter', () => {
  const uuid = (version: string) => `0b8f6e42-7d9d-${version}e5e-9a3c-1f2e3d4c5b6a`;
  const withId = (id: string) => changed(({ info }) => void (info.requestId = id));
  const flagged = (flags: number) => changed(({ info }) => void (info.responseFlags = flags));
  const metadata = (value?: string) =>
    changed(({ info }) => {
      if (value !== undefined) info.dynamicMetadata.set('ns', { key: value });
    });
  const grpc = (value: string) =>
    changed(({ responseTrailers }) => responseTrailers?.set('grpc-status', value));
  const matcher = {
    filter: 'ns',
    path: [{ segment: { case: 'key' as const, value: 'key' } }],
    value: {
      matchPattern: {
        case: 'stringMatch' as const,
        value: { matchPattern: { case: 'exact' as const, value: 'x' } },
      },
    },
  };
  const header = {
    header: { name: 'user-agent', headerMatchSpecifier: { case: 'prefixMatch' as const, value: 'curl' } },
  };

  it.each<[Specifier, LogContext[], LogContext[]]>([
    [
      { case: 'statusCodeFilter', value: compare(0, 200) },
      [status(200)],
      [status(199), status(201), status(0)],
    ],
    [{ case: 'statusCodeFilter', value: compare(1, 400) }, [status(400), status(503)], [status(399)]],
    [{ case: 'statusCodeFilter', value: compare(2, 0) }, [status(0)], [status(200)]],
    [
      { case: 'durationFilter', value: compare(1, 34) },
      [fullContext(), emptyContext()],
      [changed(({ info }) => void (info.end = START + 33.9))],
    ],
    [{ case: 'durationFilter', value: compare(0, 500) }, [emptyContext()], [fullContext()]],
    [
      { case: 'notHealthCheckFilter', value: {} },
      [fullContext()],
      [changed(({ info }) => void (info.healthCheck = true))],
    ],
    [
      { case: 'traceableFilter', value: {} },
      [withId(uuid('a'))],
      [
        withId(uuid('4')),
        withId(uuid('9')),
        withId(uuid('b')),
        withId(''),
        withId('aaaaaaaaaaaaaaaaaaaaaaa'),
        changed(({ info }) => void Object.assign(info, { requestId: uuid('a'), healthCheck: true })),
      ],
    ],
    [{ case: 'responseFlagFilter', value: { flags: [] } }, [fullContext()], [flagged(0)]],
    [
      { case: 'responseFlagFilter', value: { flags: ['UH', 'UF'] } },
      [flagged(ResponseFlag.NoHealthyUpstream), fullContext()],
      [flagged(ResponseFlag.NoRouteFound), flagged(0)],
    ],
    [{ case: 'headerFilter', value: header }, [fullContext()], [emptyContext()]],
    // A header that is not there fits no text, inverted or not.
    [
      { case: 'headerFilter', value: { header: { ...header.header, invertMatch: true } } },
      [],
      [fullContext(), emptyContext()],
    ],
    [
      {
        case: 'headerFilter',
        value: { header: { name: ':method', headerMatchSpecifier: { case: 'presentMatch', value: false } } },
      },
      [emptyContext()],
      [fullContext()],
    ],
    [
      { case: 'grpcStatusFilter', value: { statuses: [0, 14] } },
      [grpc('0'), grpc('14'), status(503)],
      [grpc('1')],
    ],
    [{ case: 'grpcStatusFilter', value: { statuses: [2] } }, [emptyContext()], [grpc('0')]],
    [{ case: 'grpcStatusFilter', value: { statuses: [0], exclude: true } }, [grpc('1')], [grpc('0')]],
    [{ case: 'metadataFilter', value: { matcher } }, [metadata('x'), metadata()], [metadata('y')]],
    [
      { case: 'metadataFilter', value: { matcher, matchIfKeyNotFound: false } },
      [metadata('x')],
      [metadata('y'), metadata()],
    ],
    [
      { case: 'metadataFilter', value: { matcher: { ...matcher, invert: true } } },
      [metadata('y'), metadata()],
      [metadata('x')],
    ],
    [{ case: 'metadataFilter', value: { matchIfKeyNotFound: false } }, [], [metadata('x')]],
    [
      { case: 'logTypeFilter', value: { types: [6, 3] } },
      [fullContext(), { ...fullContext(), type: 'TcpConnectionEnd' }],
      [emptyContext()],
    ],
    [{ case: 'logTypeFilter', value: { types: [6], exclude: true } }, [emptyContext()], [fullContext()]],
    [
      {
        case: 'andFilter',
        value: {
          filters: [
            message({ case: 'headerFilter', value: header }),
            message({ case: 'statusCodeFilter', value: compare(1, 500) }),
          ],
        },
      },
      [status(500)],
      [status(200), emptyContext()],
    ],
    [
      {
        case: 'orFilter',
        value: {
          filters: [
            message({ case: 'headerFilter', value: header }),
            message({ case: 'statusCodeFilter', value: compare(1, 500) }),
          ],
        },
      },
      [status(500), status(200)],
      [emptyContext()],
    ],
  ])('%o', (specifier, accepted, rejected) => {
    const accepts = filter(specifier);
    for (const context of accepted) expect(accepts(context)).toBe(true);
    for (const context of rejected) expect(accepts(context)).toBe(false);
  });

  const EQ = 0;
  const GE = 1;
  const LE = 2;
  /** Of the stream, 34 ms that end with status 200. */
  it.each<[field: 'statusCodeFilter' | 'durationFilter', op: 0 | 1 | 2, value: number, passes: boolean]>([
    ['statusCodeFilter', EQ, 200, true],
    ['statusCodeFilter', EQ, 201, false],
    ['statusCodeFilter', GE, 200, true],
    ['statusCodeFilter', GE, 201, false],
    ['statusCodeFilter', LE, 200, true],
    ['statusCodeFilter', LE, 199, false],
    ['durationFilter', EQ, 34, true],
    ['durationFilter', EQ, 35, false],
    ['durationFilter', GE, 34, true],
    ['durationFilter', GE, 35, false],
    ['durationFilter', LE, 34, true],
    ['durationFilter', LE, 33, false],
  ])('%s with %i %i: %s, from the config and from the runtime', (field, op, value, passes) => {
    const context = fullContext();
    expect(filter({ case: field, value: compare(op, value) })(context)).toBe(passes);
    const values = new Map<string, number>();
    const runtime = runtimeOf(values);
    const accepts = filter({ case: field, value: compare(op, value) }, runtime);
    expect(accepts(context)).toBe(passes);
    // The runtime's value counts in place of the config's, at each entry anew.
    values.set('other', 1).set('key', op === LE ? 1 : 10_000);
    expect(accepts(context)).toBe(false);
    values.set('key', field === 'statusCodeFilter' ? 200 : 34);
    expect(accepts(context)).toBe(true);
    expect(filter({ case: field, value: compare(op, value, '') }, runtime)(context)).toBe(passes);
  });

  it.each<[sampled: number, denominator: 0 | 1 | 2, override: number | undefined, passes: boolean]>([
    // The id of the stream draws 193,949,250: 50 of 100, 9250 of 10,000, 949,250 of 1,000,000.
    [50, 0, undefined, false],
    [51, 0, undefined, true],
    [9250, 1, undefined, false],
    [9251, 1, undefined, true],
    [949_250, 2, undefined, false],
    [949_251, 2, undefined, true],
    [0, 0, 51, true],
    [100, 0, 50, false],
    [100, 0, 0, false],
    // The runtime has the numerator only.
    [0, 2, 949_251, true],
    [1_000_000, 2, 51, false],
  ])(
    'runtime_filter with %i of denominator %i, runtime %s: %s',
    (numerator, denominator, override, passes) => {
      const values = new Map<string, number>();
      const value = { runtimeKey: 'key', percentSampled: { numerator, denominator } };
      const accepts = filter({ case: 'runtimeFilter', value }, runtimeOf(values));
      if (override !== undefined) values.set('key', override);
      expect(accepts(fullContext())).toBe(passes);
    },
  );

  it('takes nothing for a runtime_filter without a share', () => {
    const accepts = filter({ case: 'runtimeFilter', value: { runtimeKey: 'key' } });
    for (let i = 0; i < 100; i++) expect(accepts(withId(''))).toBe(false);
  });

  it.each(Object.entries(ResponseFlag))('knows the response flag %s', (_name, bit) => {
    const flag = responseFlagsShort(bit);
    const config = { case: 'responseFlagFilter' as const, value: { flags: [flag] } };
    expect(checkConstraints(AccessLogFilterSchema, message(config))).toEqual([]);
    const accepts = filter(config);
    expect(accepts(flagged(bit))).toBe(true);
    expect(accepts(flagged(bit | ResponseFlag.NoRouteFound))).toBe(true);
    expect(accepts(flagged(~bit & 0x3fff_ffff))).toBe(false);
    expect(accepts(flagged(0))).toBe(false);
    const any = filter({ case: 'responseFlagFilter', value: {} });
    expect(any(flagged(bit))).toBe(true);
  });

  it.each(Object.values(GrpcStatusFilter_Status).filter((code) => typeof code === 'number'))(
    'knows the gRPC status %i',
    (code) => {
      const accepts = filter({ case: 'grpcStatusFilter', value: { statuses: [code] } });
      const excludes = filter({ case: 'grpcStatusFilter', value: { statuses: [code], exclude: true } });
      for (let other = 0; other <= 16; other++) {
        expect(accepts(grpc(String(other)))).toBe(other === code);
        expect(excludes(grpc(String(other)))).toBe(other !== code);
      }
      expect(accepts(grpc('17'))).toBe(false);
      expect(accepts(grpc('x'))).toBe(false);
    },
  );

  it.each<[http: number, code: GrpcStatusFilter_Status]>([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [200, 2],
    [500, 2],
  ])('infers from the HTTP status %i the gRPC status %i', (http, code) => {
    const accepts = filter({ case: 'grpcStatusFilter', value: { statuses: [code] } });
    expect(accepts(status(http))).toBe(true);
  });

  it.each(Object.entries(AccessLogType).filter(([, number]) => typeof number === 'number'))(
    'knows the log type %s',
    (name, number) => {
      const types = [number as AccessLogType];
      const accepts = filter({ case: 'logTypeFilter', value: { types } });
      const excludes = filter({ case: 'logTypeFilter', value: { types, exclude: true } });
      for (const type of ['NotSet', 'DownstreamEnd', 'TcpConnectionEnd', name] as LogContext['type'][]) {
        expect(accepts({ ...fullContext(), type })).toBe(type === name);
        expect(excludes({ ...fullContext(), type })).toBe(type !== name);
      }
    },
  );

  it('asks filters of and_filter and or_filter in order, and no more than it takes', () => {
    const asked: string[] = [];
    const runtime: Runtime = {
      ...emptyRuntime,
      getInteger: (key, fallback) => {
        asked.push(key);
        return fallback;
      },
    };
    const one = (key: string, value: number) =>
      message({ case: 'statusCodeFilter', value: compare(EQ, value, key) });
    const filters = [one('yes', 200), one('no', 1), one('last', 200)];
    expect(filter({ case: 'andFilter', value: { filters } }, runtime)(fullContext())).toBe(false);
    expect(asked.splice(0)).toEqual(['yes', 'no']);
    expect(filter({ case: 'orFilter', value: { filters } }, runtime)(fullContext())).toBe(true);
    expect(asked.splice(0)).toEqual(['yes']);
  });

  it('draws from the request id, the same on every proxy', () => {
    const half = (useIndependentRandomness: boolean) =>
      filter({
        case: 'runtimeFilter',
        value: {
          runtimeKey: 'k',
          percentSampled: { numerator: 50, denominator: 0 },
          useIndependentRandomness,
        },
      });
    const below = withId(`${(149).toString(16).padStart(8, '0')}${uuid('4').slice(8)}`);
    const above = withId(`${(150).toString(16).padStart(8, '0')}${uuid('4').slice(8)}`);
    for (let i = 0; i < 20; i++) {
      expect(half(false)(below)).toBe(true);
      expect(half(false)(above)).toBe(false);
    }
    for (const [accepts, context] of [
      [half(true), below],
      [half(false), withId('')],
    ] as const) {
      const hits = Array.from({ length: 1000 }, () => accepts(context)).filter(Boolean).length;
      expect(hits).toBeGreaterThan(400);
      expect(hits).toBeLessThan(600);
    }
  });

  it.each<[Specifier, string]>([
    [{ case: undefined }, 'needs a filter'],
    [
      { case: 'extensionFilter', value: { name: 'envoy.access_loggers.extension_filters.cel' } },
      'extension_filter: the access log filter extension "envoy.access_loggers.extension_filters.cel" is not supported',
    ],
    [
      {
        case: 'extensionFilter',
        value: { name: 'envoy.access_loggers.extension_filters.process_ratelimit' },
      },
      'the access log filter extension "envoy.access_loggers.extension_filters.process_ratelimit" is not supported',
    ],
    [
      { case: 'orFilter', value: { filters: [{ filterSpecifier: { case: 'extensionFilter', value: {} } }] } },
      'or_filter.filters[0].extension_filter: ',
    ],
    [{ case: 'statusCodeFilter', value: {} }, 'status_code_filter.comparison.value: is required'],
    [
      { case: 'durationFilter', value: { comparison: { op: 9 as never, value: { defaultValue: 1 } } } },
      'duration_filter.comparison.op: 9 is not a comparison',
    ],
    [{ case: 'runtimeFilter', value: {} }, 'runtime_filter.runtime_key: is required'],
    [{ case: 'headerFilter', value: {} }, 'header_filter.header: is required'],
    [{ case: 'headerFilter', value: { header: { name: '' } } }, 'header_filter.header.name: '],
    [
      { case: 'responseFlagFilter', value: { flags: ['UH', 'XX'] } },
      'response_flag_filter.flags[1]: "XX" is not a response flag',
    ],
    [{ case: 'metadataFilter', value: { matcher: {} } }, 'metadata_filter.matcher.value: is required'],
    [{ case: 'orFilter', value: { filters: [{}] } }, 'or_filter.filters[0]: needs a filter'],
  ])('refuses %o', (specifier, text) => {
    expect(() => filter(specifier)).toThrow(ConfigError);
    expect(() => filter(specifier)).toThrow(text);
  });
});
