import type { JsonValue } from '@bufbuild/protobuf';
import { nearest } from './nearest.ts';
import { camelCase } from './path.ts';
import { describe, INT32, INT64, isMap, type Plain, ScalarReader } from './read-scalars.ts';

const DURATION = /^-?(\d{1,12})(?:\.\d{1,9})?s$/;
/** 10,000 years: the limit of google.protobuf.Duration. */
const MAX_DURATION_SECONDS = 315_576_000_000;
const UNIT_SECONDS = new Map([
  ['', 1],
  ['s', 1],
  ['us', 1e-6],
  ['ms', 1e-3],
  ['m', 60],
  ['min', 60],
  ['h', 3600],
  ['d', 86_400],
]);
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Reads the well-known types whose JSON is not a map of their fields. */
export class WellKnownReader extends ScalarReader {
  duration(value: unknown): JsonValue | undefined {
    if (isMap(value))
      return this.secondsAndNanos(value, (seconds, nanos) => {
        const negative = seconds < 0 || nanos < 0;
        if (
          Math.abs(seconds) > MAX_DURATION_SECONDS ||
          (seconds > 0 && nanos < 0) ||
          (seconds < 0 && nanos > 0)
        ) {
          return this.fail(`${seconds} s and ${nanos} ns make no duration`);
        }
        return `${negative ? '-' : ''}${Math.abs(seconds)}${fraction(Math.abs(nanos))}s`;
      });
    if (typeof value === 'string') {
      const match = DURATION.exec(value);
      if (match !== null) {
        if (Number(match[1]) <= MAX_DURATION_SECONDS) return value;
        return this.fail(`${value} is out of range for a duration (at most ${MAX_DURATION_SECONDS}s)`);
      }
    }
    return this.fail(
      `${describe(value)} is not a duration: write seconds with an s, such as "0.25s"`,
      likelyDuration(value),
    );
  }

  timestamp(value: unknown): JsonValue | undefined {
    if (isMap(value))
      return this.secondsAndNanos(value, (seconds, nanos) => {
        const date = new Date(seconds * 1000);
        const year = Number.isNaN(date.getTime()) ? 0 : date.getUTCFullYear();
        if (year < 1 || year > 9999 || nanos < 0)
          return this.fail(`${seconds} s is out of range for a timestamp`);
        return `${date.toISOString().slice(0, 19)}${fraction(nanos)}Z`;
      });
    if (typeof value === 'string' && TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value))) return value;
    return this.fail(`expected a time such as "2026-01-31T12:00:00Z", got ${describe(value)}`);
  }

  secondsAndNanos(
    value: Plain,
    make: (seconds: number, nanos: number) => string | undefined,
  ): JsonValue | undefined {
    for (const key of Object.keys(value)) {
      if (key !== 'seconds' && key !== 'nanos') {
        this.path.push(key);
        this.fail('expected only seconds and nanos', nearest(key, ['seconds', 'nanos']));
        this.path.pop();
        return undefined;
      }
    }
    const seconds = this.integer(INT64, value['seconds'] ?? 0);
    const nanos = this.integer(INT32, value['nanos'] ?? 0);
    if (seconds === undefined || nanos === undefined) return undefined;
    if (Math.abs(Number(nanos)) > 999_999_999)
      return this.fail(`${String(nanos)} nanos are a second or more`);
    return make(Number(seconds), Number(nanos));
  }

  fieldMask(value: unknown): JsonValue | undefined {
    const paths = isMap(value) ? value['paths'] : value;
    const text = Array.isArray(paths) ? paths.join(',') : paths;
    if (typeof text === 'string' && /^[\w.,]*$/.test(text)) return camelCase(text);
    return this.fail(`expected field paths with commas between them, got ${describe(value)}`);
  }

  /** Free-form JSON (Struct, Value, ListValue), copied with its limits checked. */
  free(value: unknown): JsonValue | undefined {
    this.count();
    if (typeof value === 'number' && !Number.isFinite(value))
      return this.fail(`${value} has no place in JSON`);
    if (typeof value === 'string') return this.wellFormed(value);
    if (typeof value !== 'object' || value === null) return value as JsonValue;
    if (!this.enter()) return undefined;
    let out: JsonValue;
    if (Array.isArray(value)) {
      out = value.map((item) => this.free(item) ?? null);
    } else {
      const map = Object.create(null) as { [key: string]: JsonValue };
      for (const key of Object.keys(value))
        if (this.wellFormed(key) !== undefined) map[key] = this.free((value as Plain)[key]) ?? null;
      out = map;
    }
    this.depth--;
    return out;
  }
}

function fraction(nanos: number): string {
  return nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
}

/** What `250ms`, `5m` or a bare number was probably meant to be. */
function likelyDuration(value: unknown): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(String(value));
  if (match === null || typeof value === 'object') return undefined;
  const unit = UNIT_SECONDS.get(match[2]);
  if (unit === undefined) return undefined;
  return `${Number((Number(match[1]) * unit).toFixed(9))}s`;
}
