import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FormatterFactory,
  type HeaderMap,
  joinPath,
  type LogContext,
  type TextFormatter,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { formattedBytes, isUnfitForWire } from './wire-text.ts';

/** What to do with one header (`HeaderValueOption`). */
class HeaderEdit {
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
}

/**
 * The header edits of one level of a configuration: `*_headers_to_remove`, then `*_headers_to_add`.
 *
 * Values are worked out on the headers as they were; then overwriting edits are applied, then adding ones, each in the
 * order of the config.
 */
export class HeaderMutation {
  /** Whether a value depends on the message, so that {@link apply} needs a context. */
  readonly dynamic: boolean;
  private readonly removals: readonly string[];
  private readonly edits: readonly HeaderEdit[];
  /** No edit asks what is there or computes a value: they can be applied as they stand. */
  private readonly plain: boolean;
  private readonly overwrites: readonly HeaderEdit[];
  private readonly additions: readonly HeaderEdit[];

  constructor(removals: readonly string[], edits: readonly HeaderEdit[]) {
    this.removals = removals;
    this.edits = edits;
    this.dynamic = edits.some((edit) => edit.formatter !== undefined);
    const fixed = edits.filter((edit) => edit.value !== '' || edit.keepEmpty || edit.formatter !== undefined);
    this.overwrites = fixed.filter((edit) => edit.action === AppendAction.OVERWRITE_IF_EXISTS_OR_ADD);
    this.additions = fixed.filter((edit) => edit.action === AppendAction.APPEND_IF_EXISTS_OR_ADD);
    this.plain = !this.dynamic && this.overwrites.length + this.additions.length === fixed.length;
  }

  /** @param context What formatters read; needed only when {@link dynamic}. */
  apply(headers: HeaderMap, context: LogContext | undefined): void {
    for (const name of this.removals) if (headers.has(name)) headers.remove(name);
    if (!this.plain) {
      this.applyInSteps(headers, context);
      return;
    }
    for (const edit of this.overwrites) headers.set(edit.name, edit.value);
    for (const edit of this.additions) headers.append(edit.name, edit.value);
  }

  private applyInSteps(headers: HeaderMap, context: LogContext | undefined): void {
    const overwrites: string[] = [];
    const additions: string[] = [];
    for (const edit of this.edits) {
      const value = headerValue(edit, context);
      if (value === undefined || (value === '' && !edit.keepEmpty)) continue;
      switch (edit.action) {
        case AppendAction.APPEND_IF_EXISTS_OR_ADD:
          additions.push(edit.name, value);
          break;
        case AppendAction.ADD_IF_ABSENT:
          if (!headers.has(edit.name)) additions.push(edit.name, value);
          break;
        case AppendAction.OVERWRITE_IF_EXISTS:
          if (headers.has(edit.name)) overwrites.push(edit.name, value);
          break;
        default:
          overwrites.push(edit.name, value);
      }
    }
    for (let i = 0; i < overwrites.length; i += 2)
      headers.set(overwrites[i] as string, overwrites[i + 1] as string);
    for (let i = 0; i < additions.length; i += 2)
      headers.append(additions[i] as string, additions[i + 1] as string);
  }
}

/** Undefined when a formatter gave what cannot stand in a header: it comes from peers, so it is left out, not sent. */
function headerValue(edit: HeaderEdit, context: LogContext | undefined): string | undefined {
  if (edit.formatter === undefined || context === undefined) return edit.value;
  const value = formattedBytes(edit.formatter.format(context));
  return isUnfitForWire(value) ? undefined : value;
}

/**
 * Compiles `request_headers_to_add`/`_to_remove` and their kin; undefined when both lists are empty.
 *
 * @param addPath, removePath The fields' paths, for errors.
 * @throws ConfigError for pseudo-headers and `host`, for broken formats, and when `append` and `append_action` are both set
 */
export function compileHeaderMutation(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  formatters: FormatterFactory,
  addPath: string,
  removePath: string,
): HeaderMutation | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  const removals = remove.map((name, i) => {
    const lower = name.toLowerCase();
    if (isProtected(lower))
      throw ConfigError.at(`${removePath}[${i}]`, ':-prefixed or host headers may not be removed');
    return lower;
  });
  const edits = add.map((option, i) => atPath(`${addPath}[${i}]`, () => compileEdit(option, formatters)));
  return new HeaderMutation(removals, edits);
}

/** A token, RFC 9110 section 5.6.2, in lower case. */
const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

function compileEdit(option: HeaderValueOption, formatters: FormatterFactory): HeaderEdit {
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
