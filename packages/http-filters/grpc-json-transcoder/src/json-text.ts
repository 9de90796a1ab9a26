import { isUtf8 } from 'node:buffer';
import type { JsonValue } from '@bufbuild/protobuf';
import { Refusal, reasonOf } from './refusal.ts';

/** Arrays and objects within each other; as deep as Envoy's parser goes. */
export const MAX_JSON_DEPTH = 100;
/** Messages within each other: of a Value and what is in it, each level of JSON has two. */
export const MAX_MESSAGE_DEPTH: number = 2 * MAX_JSON_DEPTH;

/** A number with so many digits that a double may not hold it; as it stands in the text. */
export class LongNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** JSON whose long numbers may be as they were written. */
export type LooseJson = JsonValue | LongNumber | LooseJson[] | LooseObject;
export type LooseObject = { [key: string]: LooseJson };

export function isLooseObject(value: LooseJson | undefined): value is LooseObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LongNumber)
  );
}

/** JSON that came in. */
export interface ParsedJson {
  readonly value: LooseJson;
  /** There may be a {@link LongNumber} in it. */
  readonly hasLongNumbers: boolean;
}

/** From so many digits on a double may round: 2⁵³ has 16. */
const LONG_DIGITS = 16;

type Reviver = (this: unknown, key: string, value: LooseJson, context: { source?: string }) => LooseJson;
/** As JavaScript has it since 2025: the reviver is told what a number was written as. */
const parseWithSource = JSON.parse as (text: string, reviver?: Reviver) => LooseJson;

/** Reads a JSON text of any size and depth without going deeper than {@link MAX_JSON_DEPTH}. */
export function parseJson(bytes: Buffer): ParsedJson | Refusal {
  if (!isUtf8(bytes)) return Refusal.request('Encountered non UTF-8 code points.');
  const look = lookOver(bytes);
  if (look.tooDeep)
    return Refusal.request(
      `Message too deep: more than ${MAX_JSON_DEPTH} arrays and objects within each other.`,
    );
  const { hasLongNumbers } = look;
  try {
    const text = bytes.toString('utf8');
    return { value: parseWithSource(text, hasLongNumbers ? keepLong : undefined), hasLongNumbers };
  } catch (error) {
    return Refusal.request(reasonOf(error));
  }
}

function keepLong(this: unknown, _key: string, value: LooseJson, context: { source?: string }): LooseJson {
  if (typeof value !== 'number' || context.source === undefined || context.source.length < LONG_DIGITS)
    return value;
  return new LongNumber(context.source);
}

/** Makes doubles of what is left of long numbers, in place. */
export function withoutLongNumbers(value: LooseJson): JsonValue {
  if (value instanceof LongNumber) return Number(value.source);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = withoutLongNumbers(value[i] as LooseJson);
  } else {
    for (const key of Object.keys(value)) value[key] = withoutLongNumbers(value[key] as LooseJson);
  }
  return value as JsonValue;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

interface Look {
  readonly tooDeep: boolean;
  readonly hasLongNumbers: boolean;
}

function lookOver(bytes: Buffer): Look {
  let depth = 0;
  let digits = 0;
  let hasLongNumbers = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte >= 0x30 && byte <= 0x39) {
      if (++digits === LONG_DIGITS) hasLongNumbers = true;
      continue;
    }
    digits = 0;
    if (byte === QUOTE) i = endOfString(bytes, i + 1);
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) return { tooDeep: true, hasLongNumbers };
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return { tooDeep: false, hasLongNumbers };
}

/** The index of the quote that ends a string; the length when there is none. */
function endOfString(bytes: Buffer, from: number): number {
  for (let i = from; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) return i;
    if (byte === BACKSLASH) i++;
  }
  return bytes.length;
}
