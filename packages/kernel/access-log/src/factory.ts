import { hostname } from 'node:os';
import {
  isMessage,
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
  readDataSource,
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
import { CompiledText, RawText } from './text-formatter.ts';

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
    const Text = formatterOptions.raw === true ? RawText : CompiledText;
    return new Text(parseFormat(format, context), formatterOptions.omitEmptyValues ?? false);
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
        return atPath('text_format', () =>
          text(format.value, { ...formatterOptions, omitEmptyValues, commands }),
        );
      case 'textFormatSource':
        return atPath('text_format_source', () =>
          text(readDataSource(format.value, environment.env).toString('utf8'), {
            ...formatterOptions,
            omitEmptyValues,
            commands,
          }),
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
