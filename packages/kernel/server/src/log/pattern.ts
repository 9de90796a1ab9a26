import { ConfigError } from '@dragoman/core';
import type { LineFormat, LogEntry, LogThread } from './entry.ts';
import { escapeAll, escapeControls } from './escape.ts';

/** Envoy's default without the source location, which a script has none of. */
export const DEFAULT_LOG_PATTERN = '[%Y-%m-%d %T.%e][%t][%l][%n] %v';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
/** What `%+` stands for. */
const PLAIN_PATTERN = '[%Y-%m-%d %T.%e] [%n] [%l] %v';
/** spdlog's widest padding. */
const MAX_WIDTH = 64;

type Part = (entry: LogEntry, time: Date) => string;

const two = (value: number) => (value < 10 ? `0${value}` : String(value));
const hour12 = (time: Date) => two(time.getHours() % 12 || 12);
const half = (time: Date) => (time.getHours() < 12 ? 'AM' : 'PM');
const hoursMinutes = (time: Date) => `${two(time.getHours())}:${two(time.getMinutes())}`;
const clockTime = (time: Date) => `${hoursMinutes(time)}:${two(time.getSeconds())}`;
/** Of the current second; the clock knows microseconds at best. */
const microseconds = (entry: LogEntry) =>
  String(Math.floor((((entry.wallTime % 1000) + 1000) % 1000) * 1000)).padStart(6, '0');

function shortDate(time: Date): string {
  return `${two(time.getMonth() + 1)}/${two(time.getDate())}/${two(time.getFullYear() % 100)}`;
}

function dateAndTime(time: Date): string {
  const day = DAYS[time.getDay()].slice(0, 3);
  const month = MONTHS[time.getMonth()].slice(0, 3);
  return `${day} ${month} ${String(time.getDate()).padStart(2)} ${clockTime(time)} ${time.getFullYear()}`;
}

function utcOffset(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const nothing: Part = () => '';

/** spdlog's flags, and Envoy's `_`, `j`, `N` and `*`. Those of the source location are accepted and print nothing. */
function flags({ thread, escaped, version }: PatternOptions): ReadonlyMap<string, Part> {
  const message: Part = (entry) => (escaped ? escapeAll(entry.message) : escapeControls(entry.message));
  const threadId = String(thread.threadId);
  const processId = String(thread.processId);
  return new Map<string, Part>([
    ['v', message],
    ['_', message],
    ['j', (entry) => JSON.stringify(escapeControls(entry.message)).slice(1, -1)],
    ['t', (entry) => (entry.threadId === undefined ? threadId : String(entry.threadId))],
    ['P', () => processId],
    ['n', (entry) => escapeControls(entry.logger)],
    ['l', (entry) => entry.level],
    ['L', (entry) => entry.level[0].toUpperCase()],
    ['N', () => version],
    ['a', (_, time) => DAYS[time.getDay()].slice(0, 3)],
    ['A', (_, time) => DAYS[time.getDay()]],
    ['b', (_, time) => MONTHS[time.getMonth()].slice(0, 3)],
    ['h', (_, time) => MONTHS[time.getMonth()].slice(0, 3)],
    ['B', (_, time) => MONTHS[time.getMonth()]],
    ['c', (_, time) => dateAndTime(time)],
    ['C', (_, time) => two(time.getFullYear() % 100)],
    ['Y', (_, time) => String(time.getFullYear())],
    ['D', (_, time) => shortDate(time)],
    ['x', (_, time) => shortDate(time)],
    ['m', (_, time) => two(time.getMonth() + 1)],
    ['d', (_, time) => two(time.getDate())],
    ['H', (_, time) => two(time.getHours())],
    ['I', (_, time) => hour12(time)],
    ['M', (_, time) => two(time.getMinutes())],
    ['S', (_, time) => two(time.getSeconds())],
    ['e', (_, time) => String(time.getMilliseconds()).padStart(3, '0')],
    ['f', microseconds],
    ['F', (entry) => `${microseconds(entry)}000`],
    ['E', (entry) => String(Math.floor(entry.wallTime / 1000))],
    ['p', (_, time) => half(time)],
    ['r', (_, time) => `${hour12(time)}:${two(time.getMinutes())}:${two(time.getSeconds())} ${half(time)}`],
    ['R', (_, time) => hoursMinutes(time)],
    ['T', (_, time) => clockTime(time)],
    ['X', (_, time) => clockTime(time)],
    ['z', (_, time) => utcOffset(time)],
    ['%', () => '%'],
    ...['@', 's', 'g', '#', '!', '^', '$', '*'].map((flag) => [flag, nothing] as const),
  ]);
}

/** `%8l`, `%-8l`, `%=8l`, each with `!` to cut what is longer. */
function padded(part: Part, align: string, width: number, cut: boolean): Part {
  return (entry, time) => {
    const text = part(entry, time);
    if (text.length >= width) return cut ? text.slice(0, width) : text;
    if (align === '-') return text.padEnd(width);
    if (align === '=')
      return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width);
    return text.padStart(width);
  };
}

/** `%8l`: a width may stand between, with its alignment before and `!` after. */
const TOKEN = /%(?:([-=]?)(\d+)(!?))?([\s\S]|$)/g;

/** How a pattern is compiled. */
export interface PatternOptions {
  readonly thread: LogThread;
  /** Every C escape in messages, not only control characters. */
  readonly escaped: boolean;
  /** What `%N` prints. */
  readonly version: string;
}

/**
 * Compiles a `--log-format` in spdlog's syntax. Times are local, as spdlog's. The message always stays on one line.
 * `[%g:%#] `, the source location in Envoy's default, leaves nothing behind.
 *
 * @throws ConfigError for a flag that spdlog and Envoy do not have
 */
export function compilePattern(pattern: string, options: PatternOptions): LineFormat {
  const parts = compileParts(pattern, flags(options));
  return (entry) => {
    const time = new Date(entry.wallTime);
    let line = '';
    for (const part of parts) line += part(entry, time);
    return line;
  };
}

function compileParts(pattern: string, known: ReadonlyMap<string, Part>): Part[] {
  const text = pattern.replaceAll('[%g:%#] ', '').replaceAll('%+', PLAIN_PATTERN);
  const parts: Part[] = [];
  const literal = (value: string) => {
    const escaped = escapeControls(value);
    if (value !== '') parts.push(() => escaped);
  };
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    literal(text.slice(from, match.index));
    from = match.index + match[0].length;
    const [token, align, width, cut, flag] = match;
    const part = known.get(flag);
    if (part === undefined) throw ConfigError.at('', `log format "${pattern}": unknown flag "${token}"`);
    parts.push(
      width === undefined ? part : padded(part, align, Math.min(Number(width), MAX_WIDTH), cut === '!'),
    );
  }
  literal(text.slice(from));
  return parts;
}
