import { type AccessLogFilter, AccessLogFilterSchema, create, type MessageInitShape } from '@dragoman/api';
import { ConfigError, emptyRuntime, type LogContext, ResponseFlag, type Runtime } from '@dragoman/core';
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

  it('lets the runtime replace the number compared with', () => {
    const runtime: Runtime = {
      ...emptyRuntime,
      getInteger: (key, fallback) => (key === 'key' ? 500 : fallback),
    };
    expect(filter({ case: 'statusCodeFilter', value: compare(1, 400) }, runtime)(status(499))).toBe(false);
    expect(filter({ case: 'statusCodeFilter', value: compare(1, 400, '') }, runtime)(status(499))).toBe(true);
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

  it('hands key, fraction and draw to the runtime', () => {
    const asked: unknown[] = [];
    const runtime: Runtime = { ...emptyRuntime, featureEnabled: (...args) => asked.push(args) > 0 };
    const value = { runtimeKey: 'k', percentSampled: { numerator: 7, denominator: 2 as const } };
    filter({ case: 'runtimeFilter', value }, runtime)(fullContext());
    expect(asked).toEqual([['k', { numerator: 7, denominator: 1_000_000 }, 0x0b8f6e42]]);
  });

  it.each<[Specifier, string]>([
    [{ case: undefined }, 'needs a filter'],
    [
      { case: 'extensionFilter', value: { name: 'envoy.access_loggers.extension_filters.cel' } },
      'extension_filter: the access log filter extension "envoy.access_loggers.extension_filters.cel" is not supported',
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
