import { create, type DescField, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '../src/duration.ts';
import { describe, expect, it } from 'vitest';
import { planOf } from '../src/constraints.ts';
import * as api from '../src/index.ts';
import { type Check, compileRules } from '../src/rules.ts';

const problems = <S extends DescMessage>(schema: S, init: MessageInitShape<S>) =>
  api.checkConstraints(schema, create(schema, init)).map((p) => `${p.path}: ${p.message}`);

describe('constraints of the API', () => {
  it('compile for every message', () => {
    let fields = 0;
    let oneofs = 0;
    for (const type of api.registry) {
      if (type.kind !== 'message' || !/^(envoy|xds|udpa)\./.test(type.typeName)) continue;
      const plan = planOf(type);
      fields += plan.fields.filter((field) => field.required || field.check !== undefined).length;
      oneofs += plan.oneofs.length;
    }
    expect(fields).toBeGreaterThan(750);
    expect(oneofs).toBeGreaterThan(110);
  });

  it.each<[what: string, found: string[], expected: string[]]>([
    ['a required oneof', problems(api.HeaderMatcherSchema, { name: 'a' }), []],
    [
      'a required oneof that is empty',
      problems(api.AddressSchema, {}),
      [': one of socket_address, pipe, envoy_internal_address must be set'],
    ],
    [
      'a required message',
      problems(api.HealthCheckSchema, {}),
      [
        ': one of http_health_check, tcp_health_check, grpc_health_check, custom_health_check must be set',
        ': timeout is required',
        ': interval is required',
        ': unhealthy_threshold is required',
        ': healthy_threshold is required',
      ],
    ],
    [
      'bounds of a duration',
      problems(api.ClusterSchema, { name: 'c', connectTimeout: durationFromMs(-1) }),
      ['connect_timeout: must be greater than 0s, is -0.001s'],
    ],
    [
      'bounds of a wrapper',
      problems(api.BufferSchema, { maxRequestBytes: 0 }),
      ['max_request_bytes: must be greater than 0, is 0'],
    ],
    [
      'both bounds',
      problems(api.HttpConnectionManagerSchema, {
        statPrefix: 's',
        routeSpecifier: { case: 'routeConfig', value: {} },
        maxRequestHeadersKb: 8193,
      }),
      ['max_request_headers_kb: must be at most 8192, is 8193'],
    ],
    [
      'a list that is too short',
      problems(api.RouteConfigurationSchema, { virtualHosts: [{ name: 'v', domains: [] }] }),
      ['virtual_hosts[0].domains: must have at least 1 entry'],
    ],
    [
      'items of a list',
      problems(api.RouteConfigurationSchema, { virtualHosts: [{ name: 'v', domains: ['a\nb'] }] }),
      ['virtual_hosts[0].domains[0]: must be free of NUL, CR and LF'],
    ],
    [
      'a header name',
      problems(api.HeaderValueSchema, { key: 'a\nb', value: 'x' }),
      ['key: must be free of NUL, CR and LF'],
    ],
    [
      'an enum by number',
      problems(api.ClusterSchema, { name: 'c', lbPolicy: 99 as never }),
      ['lb_policy: 99 is no value of envoy.config.cluster.v3.Cluster.LbPolicy'],
    ],
    [
      'a pattern',
      problems(api.RouteMatchSchema, { pathSpecifier: { case: 'pathSeparatedPrefix', value: '/a/' } }),
      ['path_separated_prefix: must match ^[^?#]+[^?#/]$'],
    ],
    [
      'a map key',
      problems(api.ClusterSchema, { name: 'c', lbSubsetConfig: { fallbackPolicy: 9 as never } }),
      [
        'lb_subset_config.fallback_policy: 9 is no value of envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetFallbackPolicy',
      ],
    ],
    [
      'a nested message in a map',
      problems(api.WeightedCluster_ClusterWeightSchema, {
        name: 'c',
        typedPerFilterConfig: { 'a.b': { typeUrl: 'x/y.Z' } },
      }),
      ['typed_per_filter_config["a.b"]: unknown type y.Z'],
    ],
    ['nothing when all is well', problems(api.BootstrapSchema, {}), []],
  ])('%s', (_, found, expected) => {
    expect(found).toEqual(expected);
  });
});

/** The rules that the API uses, and those that it might: run against values directly. */
function run(
  rules: MessageInitShape<typeof api.ValidateFieldRulesSchema>,
  value: unknown,
  field?: DescField,
): string[] {
  const found: string[] = [];
  const path: api.PathStep[] = [];
  const check = compileRules(create(api.ValidateFieldRulesSchema, rules), field) as Check;
  check(value, { path, report: (message) => found.push(`${api.formatPath(path)}|${message}`) });
  return found;
}

const s = (value: MessageInitShape<typeof api.ValidateStringRulesSchema>) => ({
  type: { case: 'string' as const, value },
});
const b = (value: MessageInitShape<typeof api.ValidateBytesRulesSchema>) => ({
  type: { case: 'bytes' as const, value },
});
const d = (value: MessageInitShape<typeof api.ValidateDurationRulesSchema>) => ({
  type: { case: 'duration' as const, value },
});
const u = (value: MessageInitShape<typeof api.ValidateUInt32RulesSchema>) => ({
  type: { case: 'uint32' as const, value },
});
const { HTTP_HEADER_NAME, HTTP_HEADER_VALUE } = api.ValidateKnownRegex;
const bytes = (...list: number[]) => Uint8Array.from(list);
const seconds = (n: number) => durationFromMs(n * 1000);

describe('rules', () => {
  it.each<[MessageInitShape<typeof api.ValidateFieldRulesSchema>, good: unknown[], bad: unknown[]]>([
    [s({ const: 'a' }), ['a'], ['b']],
    [s({ len: 2n }), ['ab', '😀é'], ['a', 'abc']],
    [s({ minLen: 2n }), ['ab'], ['', '😀']],
    [s({ maxLen: 1n }), ['', '😀'], ['ab']],
    [s({ lenBytes: 4n }), ['abcd', '😀'], ['abc']],
    [s({ minBytes: 3n }), ['abc', '😀'], ['ab']],
    [s({ maxBytes: 3n }), ['abc', ''], ['😀']],
    [s({ pattern: '^a+$' }), ['aa'], ['ab', '']],
    [s({ prefix: 'a' }), ['ab'], ['ba']],
    [s({ suffix: 'a' }), ['ba'], ['ab']],
    [s({ contains: 'a' }), ['bab'], ['b']],
    [s({ notContains: 'a' }), ['b'], ['bab']],
    [s({ in: ['a', 'b'] }), ['a'], ['c']],
    [s({ notIn: ['a'] }), ['c'], ['a']],
    [s({ minLen: 3n, ignoreEmpty: true }), ['', 'abc'], ['a']],
    [
      s({ wellKnown: { case: 'wellKnownRegex', value: HTTP_HEADER_NAME } }),
      ['a-b', ':path'],
      ['', 'a b', 'é'],
    ],
    [
      s({ wellKnown: { case: 'wellKnownRegex', value: HTTP_HEADER_VALUE } }),
      ['', 'a\tb', 'é'],
      ['a\u0000', '\u007f'],
    ],
    [
      s({ strict: false, wellKnown: { case: 'wellKnownRegex', value: HTTP_HEADER_NAME } }),
      ['a b', ''],
      ['a\r', '\0', 'a\n'],
    ],
    [
      s({ strict: false, wellKnown: { case: 'wellKnownRegex', value: HTTP_HEADER_VALUE } }),
      ['', 'a\u0001'],
      ['a\n'],
    ],
    [s({ wellKnown: { case: 'ip', value: true } }), ['1.2.3.4', '::1'], ['x', '']],
    [s({ wellKnown: { case: 'ipv4', value: true } }), ['1.2.3.4'], ['::1']],
    [s({ wellKnown: { case: 'ipv6', value: true } }), ['::1'], ['1.2.3.4']],
    [s({ wellKnown: { case: 'hostname', value: true } }), ['a.b', 'a.b.'], ['', '-a', 'a_b']],
    [s({ wellKnown: { case: 'address', value: true } }), ['a.b', '::1'], ['a b']],
    [s({ wellKnown: { case: 'email', value: true } }), ['a@b'], ['a']],
    [s({ wellKnown: { case: 'uri', value: true } }), ['http://a/b'], ['/b']],
    [s({ wellKnown: { case: 'uriRef', value: true } }), ['/b'], ['http://[']],
    [s({ wellKnown: { case: 'uuid', value: true } }), ['00000000-0000-0000-0000-00000000000a'], ['x']],
    [b({ len: 2n }), [bytes(1, 2)], [bytes(1)]],
    [b({ minLen: 1n, maxLen: 2n }), [bytes(1)], [bytes(), bytes(1, 2, 3)]],
    [b({ const: bytes(1) }), [bytes(1)], [bytes(2)]],
    [b({ prefix: bytes(1) }), [bytes(1, 2)], [bytes(2)]],
    [b({ suffix: bytes(2) }), [bytes(1, 2)], [bytes(1), bytes()]],
    [b({ contains: bytes(2) }), [bytes(1, 2, 3)], [bytes(1)]],
    [b({ in: [bytes(1)] }), [bytes(1)], [bytes(2)]],
    [b({ notIn: [bytes(1)] }), [bytes(2)], [bytes(1)]],
    [b({ pattern: '^a' }), [bytes(97)], [bytes(98)]],
    [b({ wellKnown: { case: 'ip', value: true } }), [bytes(1, 2, 3, 4)], [bytes(1)]],
    [{ type: { case: 'bool', value: { const: true } } }, [true], [false]],
    [u({ const: 1 }), [1], [2]],
    [u({ gt: 1, lt: 4 }), [2, 3], [1, 4]],
    [u({ gte: 1, lte: 4 }), [1, 4], [0, 5]],
    [u({ gt: 4, lt: 2 }), [1, 5], [2, 3, 4]],
    [u({ in: [1, 2] }), [1], [3]],
    [u({ notIn: [1] }), [2], [1]],
    [u({ gte: 5, ignoreEmpty: true }), [0, 5], [4]],
    [{ type: { case: 'uint64', value: { gte: 5n } } }, [5n, 2n ** 63n], [4n]],
    [{ type: { case: 'double', value: { gt: 0, lte: 1 } } }, [0.5, 1], [0, 1.5]],
    [d({ gt: seconds(1), lte: seconds(2) }), [seconds(1.5), seconds(2)], [seconds(1), seconds(2.1)]],
    [d({ const: seconds(1) }), [seconds(1)], [seconds(2)]],
    [d({ in: [seconds(1)] }), [seconds(1)], [seconds(2)]],
    [{ type: { case: 'timestamp', value: { ltNow: true } } }, [seconds(0)], [seconds(4e9)]],
    [{ type: { case: 'timestamp', value: { gtNow: true } } }, [seconds(4e9)], [seconds(0)]],
    [
      { type: { case: 'timestamp', value: { within: seconds(60) } } },
      [seconds(Date.now() / 1000)],
      [seconds(0)],
    ],
    [{ type: { case: 'any', value: { in: ['a/b'] } } }, [{ typeUrl: 'a/b' }], [{ typeUrl: 'c' }]],
    [{ type: { case: 'any', value: { notIn: ['a/b'] } } }, [{ typeUrl: 'c' }], [{ typeUrl: 'a/b' }]],
    [{ type: { case: 'enum', value: { const: 1 } } }, [1], [2]],
    [{ type: { case: 'enum', value: { in: [1] } } }, [1], [2]],
    [{ type: { case: 'enum', value: { notIn: [1] } } }, [2], [1]],
    [{ type: { case: 'repeated', value: { minItems: 1n, maxItems: 2n } } }, [[1], [1, 2]], [[], [1, 2, 3]]],
    [
      { type: { case: 'repeated', value: { unique: true } } },
      [[1, 2]],
      [
        [1, 1],
        [bytes(1), bytes(1)],
      ],
    ],
    [{ type: { case: 'repeated', value: { items: u({ gt: 0 }) } } }, [[], [1]], [[1, 0]]],
    [{ type: { case: 'repeated', value: { minItems: 2n, ignoreEmpty: true } } }, [[]], [[1]]],
    [{ type: { case: 'map', value: { minPairs: 1n, maxPairs: 1n } } }, [{ a: 1 }], [{}, { a: 1, b: 2 }]],
    [
      { type: { case: 'map', value: { keys: s({ minLen: 2n }), values: u({ gt: 0 }) } } },
      [{ ab: 1 }],
      [{ a: 1 }, { ab: 0 }],
    ],
  ])('each kind of rule (%#)', (rules, good, bad) => {
    for (const value of good) expect(run(rules, value)).toEqual([]);
    for (const value of bad) expect(run(rules, value)).toHaveLength(1);
  });

  it('look into wrapper messages where those are not unwrapped', () => {
    expect(run(u({ gt: 0 }), create(api.UInt32ValueSchema, { value: 0 }))).toEqual([
      '|must be greater than 0, is 0',
    ]);
  });

  it('say where in a list or a map', () => {
    expect(run({ type: { case: 'repeated', value: { items: u({ gt: 0 }) } } }, [1, 0])).toEqual([
      '[1]|must be greater than 0, is 0',
    ]);
    expect(run({ type: { case: 'map', value: { keys: s({ minLen: 2n }) } } }, { a: 1 })).toEqual([
      '["a"]|must be at least 2 characters long',
    ]);
  });
});
