import { type DescEnum, type JsonValue, type Registry, ScalarType } from '@bufbuild/protobuf';
import type { ConfigProblem } from '@dragoman/core';
import { nearest } from './nearest.ts';
import { formatPath, type PathStep } from './path.ts';

/** Nesting of maps and lists that is followed; the protobuf libraries stop at 100 messages. */
export const MAX_DEPTH = 200;

/** Values a document may expand to (aliases repeat what they point to). */
export const MAX_VALUES = 5_000_000;

/** Problems that are listed before the rest is given up. */
export const MAX_PROBLEMS = 1_000;

/** Thrown when going on makes no sense: too many values or problems. What was found stays in `problems`. */
export class GiveUp extends Error {}

export interface NormaliseOptions {
  registry: Registry;
  /** Unknown fields become warnings and are left out. */
  allowUnknownFields?: boolean;
}

export interface NormaliseOptions {
  registry: Registry;
  /** Unknown fields become warnings and are left out. */
  allowUnknownFields?: boolean;
}

export type Plain = Record<string, unknown>;

const valueMaps = new WeakMap<DescEnum, Map<string, string>>();

/** Enum value names by their upper-case form: Envoy takes any case. */
function valuesOf(desc: DescEnum): Map<string, string> {
  let map = valueMaps.get(desc);
  if (map === undefined) {
    map = new Map(desc.values.map((value) => [value.name.toUpperCase(), value.name]));
    valueMaps.set(desc, map);
  }
  return map;
}

/** A value as an error message shows it. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') {
    return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
  }
  return `the ${typeof value} ${String(value)}`;
}

export const isMap = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface IntegerRange {
  name: string;
  min: bigint;
  max: bigint;
}
export const INT32: IntegerRange = { name: 'a 32-bit integer', min: -(2n ** 31n), max: 2n ** 31n - 1n };
const UINT32: IntegerRange = { name: 'an unsigned 32-bit integer', min: 0n, max: 2n ** 32n - 1n };
export const INT64: IntegerRange = { name: 'a 64-bit integer', min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64: IntegerRange = { name: 'an unsigned 64-bit integer', min: 0n, max: 2n ** 64n - 1n };

const RANGES: Partial<Record<ScalarType, IntegerRange>> = {
  [ScalarType.INT32]: INT32,
  [ScalarType.SINT32]: INT32,
  [ScalarType.SFIXED32]: INT32,
  [ScalarType.UINT32]: UINT32,
  [ScalarType.FIXED32]: UINT32,
  [ScalarType.INT64]: INT64,
  [ScalarType.SINT64]: INT64,
  [ScalarType.SFIXED64]: INT64,
  [ScalarType.UINT64]: UINT64,
  [ScalarType.FIXED64]: UINT64,
};

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Reads scalars and enums, and keeps what every reader needs: the path, the problems, the limits. */
export class ScalarReader {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly path: PathStep[] = [];
  readonly options: NormaliseOptions;
  readonly warned = new Set<string>();
  /** Problems that are about a key and not its value: they are placed at the key. */
  readonly aboutKeys = new Set<ConfigProblem>();
  values = 0;
  depth = 0;

  constructor(options: NormaliseOptions) {
    this.options = options;
  }

  /** Records a problem at the current path. */
  fail(message: string, suggestion?: string): undefined {
    const problem: ConfigProblem = { path: formatPath(this.path), message };
    if (suggestion !== undefined) problem.suggestion = suggestion;
    this.problems.push(problem);
    if (this.problems.length >= MAX_PROBLEMS) throw new GiveUp('too many problems');
  }

  warn(message: string): void {
    if (this.warnings.length < MAX_PROBLEMS) {
      this.warnings.push({ path: formatPath(this.path), message, severity: 'warning' });
    }
  }

  warnDeprecated(name: string, what: string): void {
    if (this.warned.has(name)) return;
    this.warned.add(name);
    this.warn(`${what} ${name} is deprecated`);
  }

  /** Counts a value against the limit on what a document may expand to. */
  count(): void {
    if (++this.values > MAX_VALUES) {
      this.fail(`the document expands to more than ${MAX_VALUES} values`);
      throw new GiveUp('too many values');
    }
  }

  enter(): boolean {
    if (++this.depth > MAX_DEPTH) {
      this.depth--;
      this.fail(`nested more than ${MAX_DEPTH} deep`);
      return false;
    }
    return true;
  }

  /** Half of a pair of surrogates (`"\\ud800"`) stands for no character: UTF-8, and so protobuf, cannot carry it. */
  wellFormed(text: string): string | undefined {
    if (text.isWellFormed()) return text;
    return this.fail(`${describe(text)} is not valid Unicode: it has half of a surrogate pair`);
  }

  scalar(type: ScalarType, value: unknown): JsonValue | undefined {
    switch (type) {
      case ScalarType.STRING:
        if (typeof value === 'string') return this.wellFormed(value);
        return this.fail(
          `expected a string, got ${describe(value)}${typeof value === 'object' ? '' : '; put it in quotes'}`,
        );
      case ScalarType.BOOL:
        if (typeof value === 'boolean') return value;
        if (value === 'true' || value === 'false') return value === 'true';
        return this.fail(`expected true or false, got ${describe(value)}`);
      case ScalarType.BYTES:
        if (typeof value === 'string' && BASE64.test(value) && value.replace(/=+$/, '').length % 4 !== 1)
          return value;
        return this.fail(`expected bytes in base64, got ${describe(value)}`);
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.float(type, value);
      default:
        return this.integer(RANGES[type] as IntegerRange, value);
    }
  }

  float(type: ScalarType, value: unknown): JsonValue | undefined {
    if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value;
    const number =
      typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) {
      return this.fail(`expected a number, got ${describe(value)}`);
    }
    if (type === ScalarType.FLOAT && Math.abs(number) > 3.4028234663852886e38) {
      return this.fail(`${number} is out of range for a 32-bit float`);
    }
    return number;
  }

  integer(range: IntegerRange, value: unknown): JsonValue | undefined {
    let number: bigint | undefined;
    if (typeof value === 'number' && Number.isInteger(value)) number = BigInt(value);
    else if (typeof value === 'string' && /^-?\d{1,30}$/.test(value)) number = BigInt(value);
    else if (typeof value === 'string' && /^-?\d{1,30}(\.\d+)?([eE][+-]?\d{1,3})?$/.test(value)) {
      const exact = Number(value);
      if (Number.isInteger(exact)) number = BigInt(exact);
    }
    if (number === undefined) return this.fail(`expected ${range.name}, got ${describe(value)}`);
    if (number < range.min || number > range.max) {
      return this.fail(`${number} is out of range for ${range.name} (${range.min} to ${range.max})`);
    }
    return range === INT32 || range === UINT32 ? Number(number) : String(number);
  }

  enumValue(desc: DescEnum, value: unknown): JsonValue | undefined {
    if (desc.typeName === 'google.protobuf.NullValue') return null;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31) return value;
    if (typeof value === 'string') {
      const names = valuesOf(desc);
      const name = names.get(value.toUpperCase());
      if (name !== undefined) {
        const entry = desc.values.find((v) => v.name === name);
        if (entry?.proto.options?.deprecated) this.warnDeprecated(`${desc.typeName}.${name}`, 'value');
        return name;
      }
      if (/^-?\d{1,9}$/.test(value)) return Number(value);
      const known = [...names.values()];
      const list = known.length > 12 ? `${known.slice(0, 12).join(', ')}, …` : known.join(', ');
      return this.fail(`${JSON.stringify(value)} is not one of ${list}`, nearest(value, known));
    }
    return this.fail(`expected a name of ${desc.typeName}, got ${describe(value)}`);
  }
}
