import { ConfigError } from '@dragoman/core';
import { utf8Bytes, utf8Text } from '@dragoman/matching';
import { quoteJson } from '../escape.ts';
import { type Operator, type OperatorEnvironment, type OperatorSpec, truncate } from '../operator.ts';

interface Choice {
  readonly command: string;
  readonly param: string | undefined;
  readonly maxLength: number | undefined;
}

/** One entry of `operators`: a name, or `{ "command", "param", "max_length" }`. */
function choiceOf(entry: unknown, index: number): Choice {
  if (typeof entry === 'string') return { command: entry, param: undefined, maxLength: undefined };
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw ConfigError.at('', `operators[${index}] is neither a name nor an object`);
  }
  const { command, param, max_length: maxLength, ...more } = entry as Record<string, unknown>;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined)
    throw ConfigError.at('', `operators[${index}] has an unknown field "${unknown}"`);
  if (typeof command !== 'string') throw ConfigError.at('', `operators[${index}] needs a command`);
  if (param !== undefined && typeof param !== 'string') {
    throw ConfigError.at('', `operators[${index}].param is not a string`);
  }
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && Number(maxLength) > 0)) {
    throw ConfigError.at('', `operators[${index}].max_length is not a positive whole number`);
  }
  return { command, param, maxLength: maxLength as number | undefined };
}

function choicesOf(parameter: string): Choice[] {
  let config: unknown;
  try {
    config = JSON.parse(parameter);
  } catch {
    throw ConfigError.at('', 'its parameter is not JSON');
  }
  const operators = (config as { operators?: unknown } | null)?.operators;
  if (!Array.isArray(operators) || operators.length === 0) {
    throw ConfigError.at('', 'its parameter needs a list "operators" that is not empty');
  }
  return operators.map(choiceOf);
}

/** Compiles a built-in operator by its name. */
type CompileNamed = (
  command: string,
  parameter: string | undefined,
  maxLength: number | undefined,
  environment: OperatorEnvironment,
) => Operator;

/** `%COALESCE({"operators": […]}):Z%`: the first of several operators that has a value which is not empty. */
export function coalesceSpec(compileNamed: CompileNamed): OperatorSpec {
  return {
    parameters: 'required',
    length: true,
    compile(parameter, maxLength, environment) {
      const operators = choicesOf(parameter).map(({ command, param, maxLength: length }) =>
        compileNamed(command, param, length, environment),
      );
      return {
        text(context) {
          for (const operator of operators) {
            const value = operator.text(context);
            if (value !== undefined && value !== '') return truncate(value, maxLength);
          }
          return undefined;
        },
        // The type of the operator that is taken is kept; only a string is cut.
        json(context) {
          for (const operator of operators) {
            const value = operator.json(context);
            if (value === undefined || value === 'null' || value === '""') continue;
            if (maxLength === undefined || value[0] !== '"') return value;
            return quoteJson(truncate(utf8Bytes(JSON.parse(utf8Text(value)) as string), maxLength));
          }
          return undefined;
        },
      };
    },
  };
}
