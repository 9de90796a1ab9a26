import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FormatterFactory,
  joinPath,
  type LogContext,
  type TextFormatter,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { formattedBytes, isUnfitForWire } from './wire-text.ts';

/** What to do with one header (`HeaderValueOption`). */
export class HeaderEdit {
  readonly name: string;
  /** The value, when it is the same for every message. */
  readonly value: string;
  readonly formatter: TextFormatter | undefined;
  readonly action: AppendAction;
  readonly keepEmpty: boolean;

  constructor(name: string, value: string, formatter: TextFormatter | undefined, option: HeaderValueOption) {
    this.name = name;
    this.value = value;
    this.formatter = formatter;
    this.action = appendActionOf(option);
    this.keepEmpty = option.keepEmptyValue;
  }

  /**
   * The value for one message; undefined when there is none to write: an empty one that is not kept, or a formatter gave
   * what cannot stand in a header (it comes from peers, so it is left out, not sent).
   */
  valueFor(context: LogContext | undefined): string | undefined {
    let { value } = this;
    if (this.formatter !== undefined && context !== undefined) {
      value = formattedBytes(this.formatter.format(context));
      if (isUnfitForWire(value)) return undefined;
    }
    return value === '' && !this.keepEmpty ? undefined : value;
  }
}

/** A token, RFC 9110 section 5.6.2, in lower case. */
const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

/** @throws ConfigError for what may not be edited, broken formats, and when `append` and `append_action` are both set */
export function compileEdit(option: HeaderValueOption, formatters: FormatterFactory): HeaderEdit {
  const name = (option.header?.key ?? '').toLowerCase();
  if (name === '') throw ConfigError.at('header.key', 'a header name is required');
  if (!name.startsWith(':') && !TOKEN.test(name))
    throw ConfigError.at(
      'header.key',
      `"${name}" is no header name (RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_\`|~)`,
    );
  if (isProtected(name)) throw ConfigError.at('header.key', ':-prefixed or host headers may not be modified');
  if (option.append !== undefined && option.appendAction !== AppendAction.APPEND_IF_EXISTS_OR_ADD)
    throw ConfigError.at('append', 'append and append_action may not both be set');
  const { value, rawValue } = option.header as { value: string; rawValue?: Uint8Array };
  if (rawValue !== undefined && rawValue.length > 0) {
    if (value !== '') throw ConfigError.at('header.raw_value', 'value and raw_value may not both be set');
    return edit(name, Buffer.from(rawValue).toString('latin1'), undefined, option);
  }
  if (!value.includes('%')) return edit(name, utf8Bytes(value), undefined, option);
  const formatter = atPath(joinPath('header', 'value'), () =>
    formatters.text(value, { omitEmptyValues: true }),
  );
  return edit(name, '', formatter, option);
}

/** The name of a header to remove, in lower case. @throws ConfigError at `path` for pseudo-headers and `host` */
export function compileRemoval(name: string, path: string): string {
  const lower = name.toLowerCase();
  if (isProtected(lower)) throw ConfigError.at(path, ':-prefixed or host headers may not be removed');
  return lower;
}

function edit(
  name: string,
  value: string,
  formatter: TextFormatter | undefined,
  option: HeaderValueOption,
): HeaderEdit {
  if (isUnfitForWire(value))
    throw ConfigError.at('header.value', 'a header value may not contain NUL, CR or LF');
  return new HeaderEdit(name, value, formatter, option);
}

function isProtected(name: string): boolean {
  return name.startsWith(':') || name === 'host';
}

function appendActionOf(option: HeaderValueOption): AppendAction {
  if (option.append === undefined) return option.appendAction;
  return option.append ? AppendAction.APPEND_IF_EXISTS_OR_ADD : AppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
}
