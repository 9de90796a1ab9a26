import { nearest } from '@dragoman/api';
import { ConfigError, type FormatterCommand } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { valueJson } from './escape.ts';
import type { Operator, OperatorEnvironment, OperatorTable } from './operator.ts';
import { absentOperators } from './operators/absent.ts';
import { addressOperators } from './operators/addresses.ts';
import { coalesceSpec } from './operators/coalesce.ts';
import { attemptOperators } from './operators/attempts.ts';
import { countOperators } from './operators/counts.ts';
import { grpcOperators } from './operators/grpc.ts';
import { headerOperators } from './operators/headers.ts';
import { metadataOperators } from './operators/metadata.ts';
import { streamOperators } from './operators/stream.ts';
import { tlsOperators } from './operators/tls.ts';
import { xfccOperators } from './operators/xfcc.ts';

const OPERATORS: OperatorTable = {
  ...headerOperators,
  ...countOperators,
  ...addressOperators,
  ...attemptOperators,
  ...tlsOperators,
  ...xfccOperators,
  ...grpcOperators,
  ...metadataOperators,
  ...streamOperators,
  ...absentOperators,
  COALESCE: coalesceSpec((command, parameter, maxLength, environment) =>
    compileOperator(command, parameter, maxLength, { environment, commands: [] }),
  ),
};

/** Every operator this package knows. */
export const OPERATOR_NAMES: readonly string[] = Object.keys(OPERATORS).sort();

/** Operators of Envoy's own formatter extensions, to say who would provide them. */
const EXTENSION_OPERATORS: { readonly [name: string]: string } = {
  CEL: 'envoy.formatter.cel',
  TYPED_CEL: 'envoy.formatter.cel',
  FILE_CONTENT: 'envoy.formatter.file_content',
  DATASOURCE: 'envoy.formatter.datasource',
  SECRET: 'envoy.formatter.generic_secret',
  REQ_ALL_HEADERS: 'envoy.formatter.all_headers',
  RESP_ALL_HEADERS: 'envoy.formatter.all_headers',
};

/** A piece of a format: literal text in bytes, or an operator. */
export type Piece = string | Operator;

/** What a format is compiled with. */
export interface CompileContext {
  readonly environment: OperatorEnvironment;
  readonly commands: readonly FormatterCommand[];
}

/** `%COMMAND(PARAMETER):LENGTH%`; the parameter ends at the first `)` after which the rest fits. */
const COMMAND = /%([A-Z0-9_]+)(?:\(([^\n]*?)\))?(?::([0-9]+))?%/y;

/**
 * Splits a format into pieces; `%%` is a percent sign.
 * @throws ConfigError that names an unknown operator, or the position of broken syntax.
 */
export function parseFormat(format: string, context: CompileContext): Piece[] {
  const pieces: Piece[] = [];
  let literal = '';
  let position = 0;
  while (position < format.length) {
    const percent = format.indexOf('%', position);
    if (percent < 0) {
      literal += format.slice(position);
      break;
    }
    literal += format.slice(position, percent);
    if (format[percent + 1] === '%') {
      literal += '%';
      position = percent + 2;
      continue;
    }
    COMMAND.lastIndex = percent;
    const found = COMMAND.exec(format);
    if (found === null) throw brokenSyntax(format, percent);
    // Operators may parse formats of their own: the shared expression's place is kept here.
    position = COMMAND.lastIndex;
    if (literal !== '') pieces.push(utf8Bytes(literal));
    literal = '';
    const [, command = '', parameter, length] = found;
    pieces.push(compileOperator(command, parameter, lengthOf(length, command), context));
  }
  if (literal !== '') pieces.push(utf8Bytes(literal));
  return pieces;
}

/** Digits of the largest number of 64 bits: what Envoy reads a length into. */
const LENGTH_DIGITS = 20;
const LENGTH_MAX = 0xffff_ffff_ffff_ffffn;

function lengthOf(digits: string | undefined, command: string): number | undefined {
  if (digits === undefined) return undefined;
  const significant = digits.replace(/^0+(?=.)/, '');
  if (significant.length > LENGTH_DIGITS || BigInt(significant) > LENGTH_MAX) {
    throw ConfigError.at('', `%${command}%: the length ${digits.slice(0, 40)} is too large`);
  }
  return Number(significant);
}

function brokenSyntax(format: string, position: number): ConfigError {
  const rest = format.slice(position, position + 40);
  return ConfigError.at(
    '',
    `no operator can be read at position ${position} ("${rest}"): expected %NAME%, %NAME(PARAMETER)% or %NAME(PARAMETER):LENGTH%, and %% for a percent sign`,
  );
}

/**
 * Compiles one operator; those of extensions come first, so that they may replace built-in ones.
 * @throws ConfigError that names it.
 */
export function compileOperator(
  command: string,
  parameter: string | undefined,
  maxLength: number | undefined,
  context: CompileContext,
): Operator {
  for (const extension of context.commands) {
    const field = extension.parse(command, parameter, maxLength);
    if (field === undefined) continue;
    return {
      text: (log) => {
        const value = field.text(log);
        return value === undefined ? undefined : utf8Bytes(value);
      },
      json: (log) => {
        const value = field.value(log);
        return value === undefined || value === null ? undefined : valueJson(value);
      },
    };
  }
  if (!Object.hasOwn(OPERATORS, command)) throw unknownOperator(command);
  const spec = OPERATORS[command] as OperatorTable[string];
  const text = parameter ?? '';
  const fail = (message: string): ConfigError => ConfigError.at('', `%${command}% ${message}`);
  if (spec.parameters === 'none' && text !== '') throw fail('takes no parameter');
  if (spec.parameters === 'required' && text === '') throw fail('needs a parameter');
  if (!spec.length && maxLength !== undefined) throw fail('takes no length');
  try {
    return spec.compile(text, maxLength, context.environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [problem] = error.problems;
    throw ConfigError.at('', `%${command}%: ${problem?.message}`, problem?.suggestion);
  }
}

function unknownOperator(command: string): ConfigError {
  if (Object.hasOwn(EXTENSION_OPERATORS, command)) {
    return ConfigError.at(
      '',
      `%${command}% belongs to the extension ${EXTENSION_OPERATORS[command]}: list it under formatters, in a proxy that has it`,
    );
  }
  const near = nearest(command, OPERATOR_NAMES);
  return ConfigError.at('', `unknown operator %${command}%`, near === undefined ? undefined : `%${near}%`);
}
