import type { FractionalPercent } from '@dragoman/core';

const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** Of a fraction, characters. Values may be whole files. */
const MAX_LENGTH = 1000;

/** The number that a value is; undefined when it is none. An empty file has no value. */
export function readNumber(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** A percentage (`25`; of `12.7` the whole part counts), or a FractionalPercent as JSON, or as YAML. */
export function readFraction(text: string): FractionalPercent | undefined {
  const percent = readNumber(text);
  if (percent !== undefined)
    return percent < 0 ? undefined : { numerator: Math.floor(percent), denominator: 100 };
  const fields = text.length > MAX_LENGTH ? undefined : readFields(text);
  if (fields === undefined) return undefined;
  const { numerator = 0, denominator = 'HUNDRED', ...others } = fields;
  if (Object.keys(others).length > 0 || !Object.hasOwn(DENOMINATORS, String(denominator))) return undefined;
  return {
    numerator: typeof numerator === 'number' && numerator > 0 ? Math.floor(numerator) : 0,
    denominator: DENOMINATORS[denominator as keyof typeof DENOMINATORS],
  };
}

/** An object of scalars; undefined for anything else. */
function readFields(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return readYamlFields(text);
  }
}

/** `numerator: 1`, one a line; or in braces, parted by commas. */
function readYamlFields(text: string): Readonly<Record<string, unknown>> | undefined {
  const inner = /^\s*\{([^{}]*)\}\s*$/.exec(text)?.[1];
  const fields: Record<string, unknown> = Object.create(null);
  for (const part of inner === undefined ? text.split('\n') : inner.split(',')) {
    if (part.trim() === '') continue;
    const [, key, value] = /^\s*["']?([a-z]+)["']?\s*:\s+["']?(\w+)["']?\s*$/.exec(part) ?? [];
    if (key === undefined || value === undefined) return undefined;
    fields[key] = /^\d+$/.test(value) ? Number(value) : value;
  }
  return Object.keys(fields).length === 0 ? undefined : fields;
}
