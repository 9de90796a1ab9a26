import { isIP } from 'node:net';
import type { DescField } from '@bufbuild/protobuf';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import {
  type ValidateAnyRules,
  type ValidateBytesRules,
  type ValidateEnumRules,
  type ValidateFieldRules,
  ValidateKnownRegex,
  type ValidateMapRules,
  type ValidateRepeatedRules,
  type ValidateStringRules,
} from './gen/index.ts';
import type { PathStep } from './path.ts';

/** Where a check reports: the path is that of the checked value. */
export interface Reporter {
  readonly path: PathStep[];
  report(message: string): void;
}

/** A compiled constraint on a value that is there. */
export type Check = (value: unknown, reporter: Reporter) => void;

/** proto2 presence: unset fields of rules stand on the prototype only. */
const has = (rules: object, key: string): boolean => Object.hasOwn(rules, key);

/** `required` and `skip`, wherever they stand. */
export function messageRules(rules: ValidateFieldRules | undefined): { required: boolean; skip: boolean } {
  const type = rules?.type;
  const inner =
    type?.case === 'any' || type?.case === 'duration' || type?.case === 'timestamp' ? type.value : undefined;
  return {
    required: rules?.message?.required === true || inner?.required === true,
    skip: rules?.message?.skip === true,
  };
}

/** The check that a field's rules ask for; undefined when they ask for nothing on the value itself. */
export function compileRules(rules: ValidateFieldRules, field: DescField | undefined): Check | undefined {
  const type = rules.type;
  if (type.case === undefined) return undefined;
  switch (type.case) {
    case 'string':
      return unwrapped(stringCheck(type.value));
    case 'bytes':
      return unwrapped(bytesCheck(type.value));
    case 'bool':
      return has(type.value, 'const') ? unwrapped(constant(type.value.const)) : undefined;
    case 'enum':
      return enumCheck(type.value, field);
    case 'repeated':
      return repeatedCheck(type.value, field);
    case 'map':
      return mapCheck(type.value, field);
    case 'any':
      return anyCheck(type.value);
    case 'duration':
      return timeCheck(type.value, 's');
    case 'timestamp':
      return timeCheck(type.value, ' since 1970');
    default:
      return unwrapped(
        rangeCheck(type.value as unknown as Bounds<number | bigint>, (value) => value as number, String),
      );
  }
}

/** Wrapper messages stand unwrapped in plain fields, as messages in oneofs and lists. */
function unwrapped(check: Check | undefined): Check | undefined {
  if (check === undefined) return undefined;
  return (value, reporter) => {
    const wrapped = typeof value === 'object' && value !== null && '$typeName' in value;
    check(wrapped ? (value as unknown as { value: unknown }).value : value, reporter);
  };
}

/** All of them, or undefined when there are none. */
function all(checks: Check[], ignoreEmpty?: (value: unknown) => boolean): Check | undefined {
  if (checks.length === 0) return undefined;
  return (value, reporter) => {
    if (ignoreEmpty?.(value)) return;
    for (const check of checks) check(value, reporter);
  };
}

const show = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : value instanceof Uint8Array
      ? 'these bytes'
      : String(value);

function constant(expected: unknown): Check {
  return (value, reporter) => {
    if (value !== expected) reporter.report(`must be ${show(expected)}`);
  };
}

function oneOf<T>(list: readonly T[], wanted: boolean): Check {
  const set = new Set<unknown>(list);
  const names = list.map(show).join(', ');
  return (value, reporter) => {
    if (set.has(value) !== wanted)
      reporter.report(wanted ? `must be one of ${names}` : `must not be one of ${names}`);
  };
}

interface Bounds<T> {
  const?: T;
  lt?: T;
  lte?: T;
  gt?: T;
  gte?: T;
  in?: T[];
  notIn?: T[];
  ignoreEmpty?: boolean;
}

/** Bounds on anything that can be mapped to a number; low above high means "outside of". */
function rangeCheck<T>(
  rules: Bounds<T>,
  read: (value: T) => number | bigint,
  text: (value: T) => string,
): Check | undefined {
  const checks: Check[] = [];
  const low = has(rules, 'gte') ? rules.gte : has(rules, 'gt') ? rules.gt : undefined;
  const high = has(rules, 'lte') ? rules.lte : has(rules, 'lt') ? rules.lt : undefined;
  const closedLow = has(rules, 'gte');
  const closedHigh = has(rules, 'lte');
  const aboveLow = (n: number | bigint) => (closedLow ? n >= read(low as T) : n > read(low as T));
  const belowHigh = (n: number | bigint) => (closedHigh ? n <= read(high as T) : n < read(high as T));
  const lowText = low === undefined ? '' : `${closedLow ? 'at least' : 'greater than'} ${text(low)}`;
  const highText = high === undefined ? '' : `${closedHigh ? 'at most' : 'less than'} ${text(high)}`;
  if (low !== undefined && high !== undefined && read(low) > read(high)) {
    checks.push((value, reporter) => {
      const n = read(value as T);
      if (!aboveLow(n) && !belowHigh(n))
        reporter.report(`must be ${lowText} or ${highText}, is ${text(value as T)}`);
    });
  } else {
    if (low !== undefined) {
      checks.push((value, reporter) => {
        if (!aboveLow(read(value as T))) reporter.report(`must be ${lowText}, is ${text(value as T)}`);
      });
    }
    if (high !== undefined) {
      checks.push((value, reporter) => {
        if (!belowHigh(read(value as T))) reporter.report(`must be ${highText}, is ${text(value as T)}`);
      });
    }
  }
  const sameAs = (a: T) => (b: T) => read(a) === read(b);
  if (has(rules, 'const')) {
    const expected = rules.const as T;
    checks.push((value, reporter) => {
      if (!sameAs(expected)(value as T)) reporter.report(`must be ${text(expected)}, is ${text(value as T)}`);
    });
  }
  for (const [list, wanted] of [
    [rules.in ?? [], true],
    [rules.notIn ?? [], false],
  ] as const) {
    if (list.length === 0) continue;
    const names = list.map(text).join(', ');
    checks.push((value, reporter) => {
      if (list.some(sameAs(value as T)) !== wanted) {
        reporter.report(`must ${wanted ? '' : 'not '}be one of ${names}, is ${text(value as T)}`);
      }
    });
  }
  return all(checks, rules.ignoreEmpty ? (value) => Number(value) === 0 : undefined);
}

const HEADER_NAME = /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/;
const HEADER_VALUE = /^[^\u0000-\u0008\u000A-\u001F\u007F]*$/;
const LOOSE_HEADER = /^[^\u0000\n\r]*$/;
const UUID = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const HOSTNAME =
  /^(?=.{1,253}\.?$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$/;
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,253}$/;

const WELL_KNOWN: Record<string, { test: (value: string) => boolean; what: string }> = {
  email: { test: (v) => EMAIL.test(v), what: 'an e-mail address' },
  hostname: { test: (v) => HOSTNAME.test(v), what: 'a host name' },
  ip: { test: (v) => isIP(v) !== 0, what: 'an IP address' },
  ipv4: { test: (v) => isIP(v) === 4, what: 'an IPv4 address' },
  ipv6: { test: (v) => isIP(v) === 6, what: 'an IPv6 address' },
  address: { test: (v) => isIP(v) !== 0 || HOSTNAME.test(v), what: 'a host name or an IP address' },
  uri: { test: (v) => URL.canParse(v), what: 'an absolute URI' },
  uriRef: { test: (v) => URL.canParse(v, 'http://host'), what: 'a URI reference' },
  uuid: { test: (v) => UUID.test(v), what: 'a UUID' },
};

/** Not strict means only that nothing can break a header line, for names as for values. */
function headerRegex(regex: number, strict: boolean): { test: (value: string) => boolean; what: string } {
  if (!strict) return { test: (value) => LOOSE_HEADER.test(value), what: 'free of NUL, CR and LF' };
  const name = regex === ValidateKnownRegex.HTTP_HEADER_NAME;
  const pattern = name ? HEADER_NAME : HEADER_VALUE;
  return { test: (value) => pattern.test(value), what: `a valid header ${name ? 'name' : 'value'}` };
}

function stringCheck(rules: ValidateStringRules): Check | undefined {
  const checks: Check[] = [];
  const add = (test: (value: string) => boolean, message: string) =>
    checks.push((value, reporter) => {
      if (!test(value as string)) reporter.report(message);
    });
  const size = (
    key: keyof ValidateStringRules,
    measure: (v: string) => number,
    how: 'least' | 'most' | 'just',
    unit: string,
  ) => {
    if (!has(rules, key)) return;
    const n = Number(rules[key]);
    const text = how === 'just' ? `exactly ${n}` : `at ${how} ${n}`;
    const test =
      how === 'least'
        ? (v: string) => measure(v) >= n
        : how === 'most'
          ? (v: string) => measure(v) <= n
          : (v: string) => measure(v) === n;
    add(test, n === 1 && how === 'least' ? 'must not be empty' : `must be ${text} ${unit} long`);
  };
  const characters = (v: string) => [...v].length;
  const bytes = (v: string) => Buffer.byteLength(v);
  size('len', characters, 'just', 'characters');
  size('minLen', (v) => (v.length === 0 ? 0 : characters(v)), 'least', 'characters');
  size('maxLen', characters, 'most', 'characters');
  size('lenBytes', bytes, 'just', 'bytes');
  size('minBytes', bytes, 'least', 'bytes');
  size('maxBytes', bytes, 'most', 'bytes');
  if (has(rules, 'const')) checks.push(constant(rules.const));
  if (has(rules, 'pattern')) {
    const pattern = new RegExp(rules.pattern, 'u');
    add((v) => pattern.test(v), `must match ${rules.pattern}`);
  }
  if (has(rules, 'prefix')) add((v) => v.startsWith(rules.prefix), `must start with ${show(rules.prefix)}`);
  if (has(rules, 'suffix')) add((v) => v.endsWith(rules.suffix), `must end with ${show(rules.suffix)}`);
  if (has(rules, 'contains')) add((v) => v.includes(rules.contains), `must contain ${show(rules.contains)}`);
  if (has(rules, 'notContains'))
    add((v) => !v.includes(rules.notContains), `must not contain ${show(rules.notContains)}`);
  if (rules.in.length > 0) checks.push(oneOf(rules.in, true));
  if (rules.notIn.length > 0) checks.push(oneOf(rules.notIn, false));
  const known = rules.wellKnown;
  if (known.case === 'wellKnownRegex') {
    if (known.value !== ValidateKnownRegex.UNKNOWN) {
      const { test, what } = headerRegex(known.value, rules.strict);
      add(test, `must be ${what}`);
    }
  } else if (known.case !== undefined && known.value) {
    const { test, what } = WELL_KNOWN[known.case];
    add(test, `must be ${what}`);
  }
  return all(checks, rules.ignoreEmpty ? (value) => value === '' : undefined);
}

function bytesCheck(rules: ValidateBytesRules): Check | undefined {
  const checks: Check[] = [];
  const add = (test: (value: Buffer) => boolean, message: string) =>
    checks.push((value, reporter) => {
      const bytes = value as Uint8Array;
      if (!test(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))) reporter.report(message);
    });
  if (has(rules, 'len'))
    add((v) => v.length === Number(rules.len), `must be exactly ${rules.len} bytes long`);
  if (has(rules, 'minLen')) {
    add(
      (v) => v.length >= Number(rules.minLen),
      rules.minLen === 1n ? 'must not be empty' : `must be at least ${rules.minLen} bytes long`,
    );
  }
  if (has(rules, 'maxLen'))
    add((v) => v.length <= Number(rules.maxLen), `must be at most ${rules.maxLen} bytes long`);
  if (has(rules, 'const')) add((v) => v.equals(rules.const), 'must be the bytes that the API fixes');
  if (has(rules, 'pattern')) {
    const pattern = new RegExp(rules.pattern, 'u');
    add((v) => pattern.test(v.toString('latin1')), `must match ${rules.pattern}`);
  }
  if (has(rules, 'prefix'))
    add((v) => v.subarray(0, rules.prefix.length).equals(rules.prefix), 'has the wrong first bytes');
  if (has(rules, 'suffix')) {
    add(
      (v) =>
        v.length >= rules.suffix.length && v.subarray(v.length - rules.suffix.length).equals(rules.suffix),
      'has the wrong last bytes',
    );
  }
  if (has(rules, 'contains')) add((v) => v.includes(rules.contains), 'lacks the bytes that the API asks for');
  if (rules.in.length > 0)
    add((v) => rules.in.some((b) => v.equals(b)), 'is none of the values that the API allows');
  if (rules.notIn.length > 0)
    add((v) => !rules.notIn.some((b) => v.equals(b)), 'is a value that the API forbids');
  const lengths = { ip: [4, 16], ipv4: [4], ipv6: [16] } as const;
  const known = rules.wellKnown;
  if (known.case !== undefined && known.value) {
    const allowed: readonly number[] = lengths[known.case];
    add((v) => allowed.includes(v.length), `must be an IP address of ${allowed.join(' or ')} bytes`);
  }
  return all(checks, rules.ignoreEmpty ? (value) => (value as Uint8Array).length === 0 : undefined);
}

function enumCheck(rules: ValidateEnumRules, field: DescField | undefined): Check | undefined {
  const checks: Check[] = [];
  const desc = field?.enum;
  const name = (value: unknown) => desc?.value[value as number]?.name ?? String(value);
  if (rules.definedOnly && desc !== undefined) {
    checks.push((value, reporter) => {
      if (desc.value[value as number] === undefined)
        reporter.report(`${String(value)} is no value of ${desc.typeName}`);
    });
  }
  if (has(rules, 'const')) {
    checks.push((value, reporter) => {
      if (value !== rules.const) reporter.report(`must be ${name(rules.const)}`);
    });
  }
  for (const [list, wanted] of [
    [rules.in, true],
    [rules.notIn, false],
  ] as const) {
    if (list.length === 0) continue;
    checks.push((value, reporter) => {
      if (list.includes(value as number) !== wanted) {
        reporter.report(`must ${wanted ? '' : 'not '}be one of ${list.map(name).join(', ')}`);
      }
    });
  }
  return all(checks);
}

const items = (n: bigint) => `${n} ${n === 1n ? 'entry' : 'entries'}`;

function repeatedCheck(rules: ValidateRepeatedRules, field: DescField | undefined): Check | undefined {
  const checks: Check[] = [];
  if (has(rules, 'minItems')) {
    checks.push((value, reporter) => {
      if ((value as unknown[]).length < rules.minItems)
        reporter.report(`must have at least ${items(rules.minItems)}`);
    });
  }
  if (has(rules, 'maxItems')) {
    checks.push((value, reporter) => {
      if ((value as unknown[]).length > rules.maxItems)
        reporter.report(`must have at most ${items(rules.maxItems)}`);
    });
  }
  if (rules.unique) {
    checks.push((value, reporter) => {
      const seen = new Set<unknown>();
      for (const item of value as unknown[]) {
        const key = item instanceof Uint8Array ? Buffer.from(item).toString('base64') : item;
        if (seen.has(key)) return reporter.report(`has ${show(item)} twice`);
        seen.add(key);
      }
    });
  }
  const each = rules.items === undefined ? undefined : compileRules(rules.items, field);
  const { required } = messageRules(rules.items);
  if (each !== undefined || required) {
    checks.push((value, reporter) => {
      const list = value as unknown[];
      for (let i = 0; i < list.length; i++) {
        reporter.path.push(i);
        each?.(list[i], reporter);
        reporter.path.pop();
      }
    });
  }
  return all(checks, rules.ignoreEmpty ? (value) => (value as unknown[]).length === 0 : undefined);
}

function mapCheck(rules: ValidateMapRules, field: DescField | undefined): Check | undefined {
  const checks: Check[] = [];
  const size = (value: unknown) => Object.keys(value as object).length;
  if (has(rules, 'minPairs')) {
    checks.push((value, reporter) => {
      if (size(value) < rules.minPairs) reporter.report(`must have at least ${items(rules.minPairs)}`);
    });
  }
  if (has(rules, 'maxPairs')) {
    checks.push((value, reporter) => {
      if (size(value) > rules.maxPairs) reporter.report(`must have at most ${items(rules.maxPairs)}`);
    });
  }
  const keys = rules.keys === undefined ? undefined : compileRules(rules.keys, undefined);
  const values = rules.values === undefined ? undefined : compileRules(rules.values, field);
  if (keys !== undefined || values !== undefined) {
    checks.push((value, reporter) => {
      for (const [key, item] of Object.entries(value as object)) {
        reporter.path.push({ key });
        keys?.(key, reporter);
        values?.(item, reporter);
        reporter.path.pop();
      }
    });
  }
  return all(checks, rules.ignoreEmpty ? (value) => size(value) === 0 : undefined);
}

function anyCheck(rules: ValidateAnyRules): Check | undefined {
  const checks: Check[] = [];
  const url =
    (check: Check): Check =>
    (value, reporter) =>
      check((value as { typeUrl: string }).typeUrl, reporter);
  if (rules.in.length > 0) checks.push(url(oneOf(rules.in, true)));
  if (rules.notIn.length > 0) checks.push(url(oneOf(rules.notIn, false)));
  return all(checks);
}

function timeCheck(rules: object, unit: string): Check | undefined {
  type Time = Duration | Timestamp;
  const nanos = (value: Time) => value.seconds * 1_000_000_000n + BigInt(value.nanos);
  const text = (value: Time) => `${Number(nanos(value)) / 1e9}${unit}`;
  const bounds = rangeCheck(rules as Bounds<Time>, nanos, text);
  const now = rules as { ltNow?: boolean; gtNow?: boolean; within?: Duration };
  const checks: Check[] = bounds === undefined ? [] : [bounds];
  const current = () => BigInt(Date.now()) * 1_000_000n;
  if (now.ltNow)
    checks.push((v, r) => void (nanos(v as Time) < current() || r.report('must be in the past')));
  if (now.gtNow)
    checks.push((v, r) => void (nanos(v as Time) > current() || r.report('must be in the future')));
  if (has(rules, 'within') && now.within !== undefined) {
    const span = nanos(now.within);
    checks.push((value, reporter) => {
      const away = nanos(value as Time) - current();
      if ((away < 0n ? -away : away) > span)
        reporter.report(`must be within ${text(now.within as Duration)} of now`);
    });
  }
  return all(checks);
}
