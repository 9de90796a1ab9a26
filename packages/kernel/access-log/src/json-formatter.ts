import { atPath, ConfigError, type LogContext, type TextFormatter } from '@dragoman/core';
import { quoteJson, quoteTextJson, sortedKeys } from './escape.ts';
import type { Operator } from './operator.ts';
import { type CompileContext, type Piece, parseFormat } from './parse.ts';

/** How a JSON format treats values. */
export interface JsonFormatterOptions {
  /** Leaves out fields and list items without a value, and objects that come out empty. */
  readonly omitEmptyValues: boolean;
  /** Every value a string, `"-"` where there is none (the deprecated `json_format` of the file access log). */
  readonly valuesAsText: boolean;
}

/** Gives JSON, or undefined for what is to be left out. */
type Render = (context: LogContext) => string | undefined;

/**
 * Compiles a JSON format: objects and lists nested at will, keys sorted, one line that ends with a newline. A value
 * that is one operator keeps its type (numbers, booleans, objects, null for none), several make a string.
 * @throws ConfigError with a path below the format.
 */
export function compileJson(
  format: { readonly [key: string]: unknown },
  options: JsonFormatterOptions,
  context: CompileContext,
): TextFormatter {
  const render = compileValue(format, options, context);
  return { format: (log) => `${render(log) ?? '{}'}\n` };
}

function compileValue(value: unknown, options: JsonFormatterOptions, context: CompileContext): Render {
  if (typeof value === 'string') return compileString(value, options, context);
  if (typeof value === 'number' || typeof value === 'boolean') {
    const json = Number.isFinite(value) || typeof value === 'boolean' ? String(value) : 'null';
    return constant(options.valuesAsText ? `"${json}"` : json);
  }
  if (value === null || value === undefined) return constant(options.omitEmptyValues ? undefined : 'null');
  if (Array.isArray(value)) return compileList(value, options, context);
  return compileObject(value as { readonly [key: string]: unknown }, options, context);
}

function constant(json: string | undefined): Render {
  return () => json;
}

function compileObject(
  object: { readonly [key: string]: unknown },
  options: JsonFormatterOptions,
  context: CompileContext,
): Render {
  const fields = sortedKeys(object).map((key) => ({
    prefix: `${quoteTextJson(key)}:`,
    render: atPath(key, () => compileValue(object[key], options, context)),
  }));
  const omit = options.omitEmptyValues;
  return (log) => {
    let json = '';
    for (const { prefix, render } of fields) {
      const value = render(log);
      if (value === undefined && omit) continue;
      json += `${json === '' ? '{' : ','}${prefix}${value ?? 'null'}`;
    }
    if (json !== '') return `${json}}`;
    return omit ? undefined : '{}';
  };
}

function compileList(
  list: readonly unknown[],
  options: JsonFormatterOptions,
  context: CompileContext,
): Render {
  const items = list.map((item, index) => atPath(`[${index}]`, () => compileValue(item, options, context)));
  const omit = options.omitEmptyValues;
  return (log) => {
    const values: string[] = [];
    for (const render of items) {
      const value = render(log);
      if (value !== undefined || !omit) values.push(value ?? 'null');
    }
    return `[${values.join(',')}]`;
  };
}

function compileString(format: string, options: JsonFormatterOptions, context: CompileContext): Render {
  const pieces = parseFormat(format, context);
  const [only] = pieces;
  if (pieces.length === 0) return constant('""');
  if (pieces.length === 1) {
    if (typeof only === 'string') return constant(quoteJson(only));
    const operator = only as Operator;
    if (!options.valuesAsText) return operator.json;
  }
  return joined(pieces, options);
}

/** A string of several parts. */
function joined(pieces: readonly Piece[], { omitEmptyValues, valuesAsText }: JsonFormatterOptions): Render {
  const empty = omitEmptyValues ? '' : '-';
  const only = pieces.length === 1 && valuesAsText && omitEmptyValues;
  return (log) => {
    let text = '';
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        text += piece;
        continue;
      }
      const value = piece.text(log);
      if (value === undefined && only) return undefined;
      text += value ?? empty;
    }
    return quoteJson(text);
  };
}

/** The root of a JSON format must be an object. */
export function jsonFormatObject(format: unknown, path: string): { readonly [key: string]: unknown } {
  if (typeof format === 'object' && format !== null && !Array.isArray(format)) {
    return format as { readonly [key: string]: unknown };
  }
  throw ConfigError.at(path, 'is not an object');
}
