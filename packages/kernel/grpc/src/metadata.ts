import type { HeaderValue } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FormatterFactory,
  type GrpcMetadataEntry,
  type HeaderMap,
  type LogContext,
  type TextFormatter,
} from '@dragoman/core';
import { formattedBytes, isUnfitForWire } from '@dragoman/header-edits';

const BINARY_SUFFIX = '-bin';
/** RFC 9110 section 5.6.2, in lower case. */
const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/** What gRPC's own library takes for a key, and for a value that is no `-bin` one. */
const GRPC_KEY = /^[a-z0-9_.-]+$/;
const GRPC_VALUE = /^[\x20-\x7e]*$/;

/** One line of `initial_metadata`, compiled. */
interface Line {
  readonly name: string;
  readonly binary: boolean;
  /** As it is written, a string of bytes. */
  readonly text: string;
  readonly formatter: TextFormatter | undefined;
}

/** `initial_metadata` of a service, and what its call credentials add. */
export class InitialMetadata {
  private readonly lines: readonly Line[];

  constructor(lines: readonly Line[]) {
    this.lines = lines;
  }

  /** A line replaces those of its name, as in Envoy; one whose value is empty, or unfit for a header, is left out. */
  apply(headers: HeaderMap, parent: LogContext | undefined): void {
    for (const { name, binary, text, formatter } of this.lines) {
      const value =
        formatter === undefined || parent === undefined ? text : formattedBytes(formatter.format(parent));
      if (value === '') continue;
      if (binary) headers.set(name, base64(value));
      else if (!isUnfitForWire(value)) headers.set(name, value);
    }
  }
}

/** Adds the lines of one call. */
export function appendMetadata(headers: HeaderMap, entries: readonly GrpcMetadataEntry[]): void {
  for (const [name, value] of entries) {
    if (name.endsWith(BINARY_SUFFIX)) {
      headers.append(name, base64(value));
      continue;
    }
    const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
    if (!isUnfitForWire(text)) headers.append(name, text);
  }
}

/**
 * @param strict the rules of gRPC's own library, which `google_grpc` has in Envoy
 * @param credentials lines that go with each call besides
 * @throws ConfigError with a path that begins at `initial_metadata`
 */
export function compileInitialMetadata(
  config: readonly HeaderValue[],
  formatters: FormatterFactory,
  strict: boolean,
  credentials: readonly (readonly [name: string, value: string])[],
): InitialMetadata {
  const lines = config.map((entry, i) =>
    atPath(`initial_metadata[${i}]`, () => compileLine(entry, formatters, strict)),
  );
  for (const [name, text] of credentials) lines.push({ name, text, binary: false, formatter: undefined });
  return new InitialMetadata(lines);
}

function compileLine(
  { key, value, rawValue }: HeaderValue,
  formatters: FormatterFactory,
  strict: boolean,
): Line {
  const name = key.toLowerCase();
  if (name === '') throw ConfigError.at('key', 'a name is required');
  if (name.startsWith(':') || name === 'host')
    throw ConfigError.at('key', ':-prefixed or host headers may not be modified');
  if (!TOKEN.test(name)) throw ConfigError.at('key', `"${key}" is no header name (RFC 9110 section 5.6.2)`);
  if (strict && !GRPC_KEY.test(name))
    throw ConfigError.at('key', `"${key}" is no key of gRPC metadata: expected letters, digits and _.-`);
  const binary = name.endsWith(BINARY_SUFFIX);
  if (rawValue.length > 0) {
    if (value !== '') throw ConfigError.at('raw_value', 'value and raw_value may not both be set');
    return checked(
      { name, binary, text: Buffer.from(rawValue).toString('latin1'), formatter: undefined },
      strict,
    );
  }
  const formatter = value.includes('%')
    ? atPath('value', () => formatters.text(value, { omitEmptyValues: true }))
    : undefined;
  return checked({ name, binary, text: Buffer.from(value).toString('latin1'), formatter }, strict);
}

function checked(line: Line, strict: boolean): Line {
  if (line.binary) return line;
  if (isUnfitForWire(line.text))
    throw ConfigError.at('value', 'a header value may not contain NUL, CR or LF');
  if (strict && !GRPC_VALUE.test(line.text))
    throw ConfigError.at(
      'value',
      'a value of gRPC metadata may hold printable ASCII only, but under a -bin key',
    );
  return line;
}

/** With padding, as Envoy sends it. */
function base64(value: string | Uint8Array): string {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(value);
  return bytes.toString('base64');
}
