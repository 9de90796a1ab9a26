import type { Clock, LogContext, MetadataValue, RandomSource } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { quoteJson, quoteTextJson, valueJson } from './escape.ts';

type Read<T> = (context: LogContext) => T | undefined;

/** One `%OPERATOR%`, compiled. Both forms are strings of bytes; undefined stands for "no value". */
export interface Operator {
  /** For text formats, and for JSON strings made of several parts. Not escaped. */
  readonly text: Read<string>;
  /** For a JSON format whose whole value is this operator: JSON, typed. */
  readonly json: Read<string>;
}

/** What operators may read besides the stream. */
export interface OperatorEnvironment {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly hostname: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How an operator may be written, and how it is compiled. */
export interface OperatorSpec {
  readonly parameters: 'none' | 'optional' | 'required';
  /** Whether `:Z` may follow. */
  readonly length: boolean;
  /** `parameter` is empty when there is none. Throws ConfigError for a parameter it does not know. */
  compile(parameter: string, maxLength: number | undefined, environment: OperatorEnvironment): Operator;
}

export type OperatorTable = { readonly [name: string]: OperatorSpec };

/** An operator whose text is bytes already: headers, numbers, fixed words. */
export function bytesOperator(text: Read<string>): Operator {
  return {
    text,
    json: (context) => {
      const value = text(context);
      return value === undefined ? undefined : quoteJson(value);
    },
  };
}

/** An operator whose text is Unicode: names from a config, certificates, metadata. */
export function unicodeOperator(read: Read<string>): Operator {
  return {
    text: (context) => {
      const value = read(context);
      return value === undefined ? undefined : utf8Bytes(value);
    },
    json: (context) => {
      const value = read(context);
      return value === undefined ? undefined : quoteTextJson(value);
    },
  };
}

/** An operator that is a number. */
export function numberOperator(read: Read<number>): Operator {
  const text = (context: LogContext): string | undefined => {
    const value = read(context);
    return value === undefined ? undefined : String(value);
  };
  return { text, json: text };
}

/** An operator that is a JSON-like value: a string prints bare, anything else as JSON; null is no value. */
export function valueOperator(
  read: (context: LogContext) => MetadataValue | undefined,
  maxLength: number | undefined,
): Operator {
  return {
    text: (context) => {
      const value = read(context);
      if (value === undefined || value === null) return undefined;
      return truncate(typeof value === 'string' ? utf8Bytes(value) : valueJson(value), maxLength);
    },
    // The length is for text only: JSON cut short would not be JSON.
    json: (context) => {
      const value = read(context);
      return value === undefined || value === null ? undefined : valueJson(value);
    },
  };
}

/** An operator whose source this proxy does not have: it never has a value. */
export const absentOperator: Operator = { text: () => undefined, json: () => undefined };

/** The first `maxLength` bytes. */
export function truncate(value: string, maxLength: number | undefined): string {
  return maxLength === undefined || value.length <= maxLength ? value : value.slice(0, maxLength);
}

/** A spec that takes neither parameters nor a length. */
export function plain(operator: Operator): OperatorSpec {
  return { parameters: 'none', length: false, compile: () => operator };
}
