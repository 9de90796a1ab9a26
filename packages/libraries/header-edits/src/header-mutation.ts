import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '@dragoman/api';
import { atPath, type FormatterFactory, type HeaderMap, type LogContext } from '@dragoman/core';
import { compileEdit, compileRemoval, type HeaderEdit } from './header-edit.ts';

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
      const value = edit.valueFor(context);
      if (value === undefined) continue;
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
  const removals = remove.map((name, i) => compileRemoval(name, `${removePath}[${i}]`));
  const edits = add.map((option, i) => atPath(`${addPath}[${i}]`, () => compileEdit(option, formatters)));
  return new HeaderMutation(removals, edits);
}
