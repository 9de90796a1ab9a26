import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  type DataSource,
  isMessage,
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from '@dragoman/api';
import {
  atPath,
  type Clock,
  ConfigError,
  type FormatterCommand,
  type FormatterFactory,
  type FormatterOptions,
  type LocalInfo,
  type RandomSource,
  systemClock,
  systemRandom,
  type TextFormatter,
} from '@dragoman/core';
import { compileJson } from './json-formatter.ts';
import { type CompileContext, parseFormat } from './parse.ts';
import { CompiledText } from './text-formatter.ts';

/** An entry of `formatters`: the extension that adds operators to one format. */
export type FormatterConfig = SubstitutionFormatString['formatters'][number];

export interface FormatterFactoryOptions {
  /** Who this proxy is. No built-in operator reads it; extensions' may come to. */
  readonly localInfo?: LocalInfo;
  /** For `%EMIT_TIME%` and the `%DURATION%` of streams that still run. Default: the system's. */
  readonly clock?: Clock;
  /** For `%UNIQUE_ID%`. Default: the system's. */
  readonly random?: RandomSource;
  /** For `%HOSTNAME%`. Default: the machine's. */
  readonly hostname?: string;
  /** For `%ENVIRONMENT(X)%` and formats out of a variable. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Makes the operators of an entry of `formatters`. Default: such entries are refused. */
  readonly createCommand?: (config: FormatterConfig) => FormatterCommand;
}

/** Envoy's default access-log format. */
export const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ' +
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ' +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** Makes the compiler of formats that contexts hand out. */
export function createFormatterFactory(options: FormatterFactoryOptions = {}): FormatterFactory {
  const environment = {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    hostname: options.hostname ?? hostname(),
    env: options.env ?? process.env,
  };

  function text(format: string, formatterOptions: FormatterOptions = {}): TextFormatter {
    const context: CompileContext = { environment, commands: formatterOptions.commands ?? [] };
    return new CompiledText(parseFormat(format, context), formatterOptions.omitEmptyValues ?? false);
  }

  function fromConfig(config: unknown, formatterOptions: FormatterOptions = {}): TextFormatter {
    if (!isMessage(config, SubstitutionFormatStringSchema)) {
      throw ConfigError.at('', 'is not a SubstitutionFormatString');
    }
    const message = config as SubstitutionFormatString;
    const commands = [
      ...(formatterOptions.commands ?? []),
      ...message.formatters.map((entry, index) =>
        atPath(`formatters[${index}]`, () => {
          if (options.createCommand !== undefined) return options.createCommand(entry);
          throw ConfigError.at('', `the formatter extension "${entry.name}" is not part of this proxy`);
        }),
      ),
    ];
    const omitEmptyValues = formatterOptions.omitEmptyValues ?? message.omitEmptyValues;
    const { format } = message;
    switch (format.case) {
      case 'textFormat':
        return atPath('text_format', () => text(format.value, { omitEmptyValues, commands }));
      case 'textFormatSource':
        return atPath('text_format_source', () =>
          text(readSource(format.value, environment.env), { omitEmptyValues, commands }),
        );
      case 'jsonFormat': {
        const valuesAsText = formatterOptions.valuesAsText ?? false;
        return atPath('json_format', () =>
          compileJson(format.value, { omitEmptyValues, valuesAsText }, { environment, commands }),
        );
      }
      default:
        throw ConfigError.at('', 'needs one of text_format_source, json_format, text_format');
    }
  }

  return { text, fromConfig, default: text(DEFAULT_FORMAT) };
}

/** Reads a format out of a file, the environment or the config itself, once, when config is loaded. */
function readSource(source: DataSource, env: Readonly<Record<string, string | undefined>>): string {
  const { specifier } = source;
  if (source.watchedDirectory !== undefined) {
    throw ConfigError.at('watched_directory', 'a format is read once: watching it is not supported');
  }
  switch (specifier.case) {
    case 'inlineString':
      return specifier.value;
    case 'inlineBytes':
      return Buffer.from(specifier.value).toString('utf8');
    case 'filename':
      try {
        return readFileSync(specifier.value, 'utf8');
      } catch (error) {
        throw ConfigError.at('filename', `cannot be read: ${(error as Error).message}`);
      }
    case 'environmentVariable': {
      const value = env[specifier.value];
      if (value === undefined)
        throw ConfigError.at('environment_variable', `"${specifier.value}" is not set`);
      return value;
    }
    default:
      throw ConfigError.at('', 'needs one of filename, inline_bytes, inline_string, environment_variable');
  }
}
