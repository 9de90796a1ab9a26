import { ConfigError } from '@dragoman/core';

/** Prints a wall time, milliseconds since the Unix epoch. */
export type TimeFormatter = (wallTimeMs: number) => string;

/** `2026-01-02T03:04:05.678Z`, or with `+0100` for the `Z` in local time: what operators print without a format. */
export function defaultTimeFormatter(local: boolean): TimeFormatter {
  if (local) return compileTimeFormat('%Y-%m-%dT%H:%M:%E3S%z', true);
  // Once a request: the text of the second is kept, and the milliseconds come out of a table.
  let second = Number.NaN;
  let prefix = '';
  return (ms) => {
    const now = secondOf(ms);
    if (now !== second) {
      second = now;
      prefix = new Date(now * 1000).toISOString().slice(0, -4);
    }
    return prefix + MILLISECONDS_Z[Math.floor(ms - now * 1000)];
  };
}

/** Whole seconds. Of whole milliseconds: a time just before a second would be rounded up to it by the division. */
function secondOf(ms: number): number {
  return Math.floor(Math.floor(ms) / 1000);
}

const MILLISECONDS_Z: readonly string[] = Array.from(
  { length: 1000 },
  (_, ms) => `${String(ms).padStart(3, '0')}Z`,
);

/** A moment's fields in the zone asked for. */
interface Fields {
  readonly year: number;
  /** 0 … 11 */
  readonly month: number;
  readonly day: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** 0 … 365 */
  readonly yearDay: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Minutes east of UTC. */
  readonly offset: number;
  readonly epoch: number;
  readonly date: Date;
  readonly local: boolean;
}

type Part = string | ((fields: Fields) => string);

const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);
const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Pads `value`; flags: `-` no padding, `_` spaces, `0` zeros. */
function number(width: number, pad: '0' | ' ', read: (fields: Fields) => number): Conversion {
  return (flag) => {
    const fill = flag === '_' ? ' ' : flag === '0' ? '0' : pad;
    if (flag === '-') return (fields) => String(read(fields));
    return (fields) => String(read(fields)).padStart(width, fill);
  };
}

function word(read: (fields: Fields) => string): Conversion {
  return (flag) => (flag === '^' ? (fields) => read(fields).toUpperCase() : read);
}

type Conversion = (flag: string) => (fields: Fields) => string;

const hour12 = (fields: Fields): number => fields.hour % 12 || 12;
const weekOfYear = (fields: Fields, firstDay: number): number =>
  Math.floor((fields.yearDay + 7 - ((fields.weekday - firstDay + 7) % 7)) / 7);

/** ISO 8601 week and the year it belongs to. */
function isoWeek(fields: Fields): { year: number; week: number } {
  const thursday = fields.yearDay - ((fields.weekday + 6) % 7) + 3;
  if (thursday < 0) {
    const year = fields.year - 1;
    return { year, week: Math.floor((thursday + daysIn(year)) / 7) + 1 };
  }
  if (thursday >= daysIn(fields.year)) return { year: fields.year + 1, week: 1 };
  return { year: fields.year, week: Math.floor(thursday / 7) + 1 };
}

function daysIn(year: number): number {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 366 : 365;
}

function offsetText(fields: Fields, separator: string): string {
  const minutes = Math.abs(fields.offset);
  const pair = (value: number): string => String(value).padStart(2, '0');
  return (fields.offset < 0 ? '-' : '+') + pair(Math.floor(minutes / 60)) + separator + pair(minutes % 60);
}

function zoneName(fields: Fields): string {
  if (!fields.local) return 'UTC';
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(fields.date);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
}

/** The conversions of strftime in the C locale. */
const CONVERSIONS: { readonly [letter: string]: Conversion } = {
  a: word((f) => WEEKDAYS[f.weekday].slice(0, 3)),
  A: word((f) => WEEKDAYS[f.weekday]),
  b: word((f) => MONTHS[f.month].slice(0, 3)),
  B: word((f) => MONTHS[f.month]),
  C: number(2, '0', (f) => Math.floor(f.year / 100)),
  d: number(2, '0', (f) => f.day),
  e: number(2, ' ', (f) => f.day),
  g: number(2, '0', (f) => isoWeek(f).year % 100),
  G: number(4, '0', (f) => isoWeek(f).year),
  h: word((f) => MONTHS[f.month].slice(0, 3)),
  H: number(2, '0', (f) => f.hour),
  I: number(2, '0', hour12),
  j: number(3, '0', (f) => f.yearDay + 1),
  k: number(2, ' ', (f) => f.hour),
  l: number(2, ' ', hour12),
  m: number(2, '0', (f) => f.month + 1),
  M: number(2, '0', (f) => f.minute),
  p: word((f) => (f.hour < 12 ? 'AM' : 'PM')),
  P: word((f) => (f.hour < 12 ? 'am' : 'pm')),
  s: number(1, '0', (f) => f.epoch),
  S: number(2, '0', (f) => f.second),
  t: word(() => '\t'),
  u: number(1, '0', (f) => f.weekday || 7),
  U: number(2, '0', (f) => weekOfYear(f, 0)),
  V: number(2, '0', (f) => isoWeek(f).week),
  w: number(1, '0', (f) => f.weekday),
  W: number(2, '0', (f) => weekOfYear(f, 1)),
  y: number(2, '0', (f) => f.year % 100),
  Y: number(4, '0', (f) => f.year),
  z: word((f) => offsetText(f, '')),
  Z: word(zoneName),
  '%': word(() => '%'),
};

/** Conversions that are short for others. */
const COMPOUND: { readonly [letter: string]: string } = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  r: '%I:%M:%S %p',
  R: '%H:%M',
  T: '%H:%M:%S',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
};

/** A fraction of the second, by its digits, or as many as it needs. */
interface Fraction {
  readonly digits: number | 'all';
  /** Written before the digits when there are any. */
  readonly point: string;
}

/** Splits a time format into parts of second granularity and fractions. */
function parse(format: string): (Part | Fraction)[] {
  const parts: (Part | Fraction)[] = [];
  const conversion = /%(?:E(\*|[0-9]+)([Sf])|E(?:(z|\*z)|(T)|4(Y))|([1-9])?(f)|([-_0^#]?)[0-9]*[EO]?(.))/sy;
  let position = 0;
  while (position < format.length) {
    if (format[position] !== '%') {
      const next = format.indexOf('%', position);
      const end = next < 0 ? format.length : next;
      parts.push(format.slice(position, end));
      position = end;
      continue;
    }
    conversion.lastIndex = position;
    const found = conversion.exec(format);
    if (found === null) throw ConfigError.at('', `"${format}" ends in the middle of a conversion`);
    position = conversion.lastIndex;
    const [all, eDigits, eLetter, zone, separatorT, year, digits, fraction, flag, letter] = found;
    if (eLetter !== undefined) {
      const count = eDigits === '*' ? 'all' : Math.min(Number(eDigits), 15);
      if (eLetter === 'S') parts.push(CONVERSIONS['S']('0'));
      parts.push({ digits: count, point: eLetter === 'S' ? '.' : '' });
    } else if (zone !== undefined) {
      parts.push((fields) => offsetText(fields, ':') + (zone === '*z' ? ':00' : ''));
    } else if (separatorT !== undefined) {
      parts.push('T');
    } else if (year !== undefined) {
      parts.push(CONVERSIONS['Y']('0'));
    } else if (fraction !== undefined) {
      parts.push({ digits: digits === undefined ? 9 : Number(digits), point: '' });
    } else if (letter === 'n') {
      throw ConfigError.at('', `"${format}" would write a newline (${all})`);
    } else if (Object.hasOwn(COMPOUND, letter)) {
      parts.push(...parse(COMPOUND[letter]));
    } else if (Object.hasOwn(CONVERSIONS, letter)) {
      parts.push(CONVERSIONS[letter](flag ?? ''));
    } else {
      throw ConfigError.at('', `"${format}" has an unknown conversion ${all}`);
    }
  }
  return parts;
}

function fieldsOf(epoch: number, local: boolean): Fields {
  const date = new Date(epoch * 1000);
  const offset = local ? -date.getTimezoneOffset() : 0;
  // A date whose UTC fields are the local ones.
  const shifted = new Date(epoch * 1000 + offset * 60_000);
  const year = shifted.getUTCFullYear();
  return {
    year,
    month: shifted.getUTCMonth(),
    day: shifted.getUTCDate(),
    weekday: shifted.getUTCDay(),
    yearDay: Math.floor((shifted.getTime() - Date.UTC(year, 0, 1)) / 86_400_000),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    offset,
    epoch,
    date,
    local,
  };
}

/**
 * Compiles a time format: strftime in the C locale, with `%3f` and its kin (digits of the fraction, 9 without a
 * number), `%s` (seconds since the epoch), and absl's `%E3S`, `%E*S`, `%E3f`, `%E*f`, `%Ez`, `%E*z`, `%ET`, `%E4Y`.
 * The text of a second is kept until the next one.
 * @throws ConfigError for an unknown conversion and for `%n`, which would break the line.
 */
export function compileTimeFormat(format: string, local: boolean): TimeFormatter {
  // Texts of second granularity, and the fractions between them: texts[0] fractions[0] texts[1] …
  const groups: Part[][] = [[]];
  const fractions: Fraction[] = [];
  for (const part of parse(format)) {
    if (typeof part === 'object') {
      fractions.push(part);
      groups.push([]);
    } else (groups[groups.length - 1] as Part[]).push(part);
  }
  let second = Number.NaN;
  let texts: string[] = [];
  return (ms) => {
    const now = secondOf(ms);
    if (now !== second) {
      second = now;
      const fields = fieldsOf(now, local);
      texts = groups.map((group) =>
        group.map((part) => (typeof part === 'string' ? part : part(fields))).join(''),
      );
    }
    let text = texts[0] as string;
    for (let i = 0; i < fractions.length; i++) {
      text += fractionText(fractions[i] as Fraction, ms - now * 1000) + (texts[i + 1] as string);
    }
    return text;
  };
}

function fractionText(fraction: Fraction, ms: number): string {
  const nanos = String(Math.floor(ms * 1e6)).padStart(9, '0');
  const digits =
    fraction.digits === 'all'
      ? nanos.replace(/0+$/, '') || (fraction.point === '' ? '0' : '')
      : nanos.slice(0, fraction.digits).padEnd(fraction.digits, '0');
  return digits === '' ? '' : fraction.point + digits;
}
