import { type AllHeaders, AllHeadersSchema } from '@dragoman/api';
import {
  ConfigError,
  defineFormatter,
  type FieldFormatter,
  type FormatterCommand,
  type HeaderMap,
  type LogContext,
} from '@dragoman/core';
import { asciiLower, utf8Text } from '@dragoman/matching';

type Select = (context: LogContext) => HeaderMap | undefined;
/** Without a prototype: a peer may send a header of any name. */
type HeaderObject = Record<string, string>;

const COMMANDS: ReadonlyMap<string, Select> = new Map<string, Select>([
  ['REQ_ALL_HEADERS', ({ request }) => request],
  ['RESP_ALL_HEADERS', ({ response }) => response],
]);

/** `envoy.formatter.all_headers`: `%REQ_ALL_HEADERS%` and `%RESP_ALL_HEADERS%`. */
export const allHeadersFormatter = defineFormatter({
  name: 'envoy.formatter.all_headers',
  config: AllHeadersSchema,
  create: (config) => new AllHeadersCommand(config),
});

class AllHeadersCommand implements FormatterCommand {
  /** 0: whole values. */
  private readonly maxValueBytes: number;
  private readonly excluded: ReadonlySet<string>;

  constructor({ maxValueBytes, excludeHeaders }: AllHeaders) {
    this.maxValueBytes = maxValueBytes;
    this.excluded = new Set(excludeHeaders.map(asciiLower));
  }

  parse(command: string, parameter: string | undefined, maxLength: number | undefined) {
    const select = COMMANDS.get(command);
    if (select === undefined) return undefined;
    if (parameter !== undefined && parameter !== '') {
      throw ConfigError.at('', `%${command}% takes no parameter`);
    }
    if (maxLength !== undefined) {
      throw ConfigError.at('', `%${command}% takes no length: max_value_bytes cuts each value`);
    }
    return this.field(select);
  }

  private field(select: Select): FieldFormatter {
    const value = (context: LogContext): HeaderObject | undefined => {
      const headers = select(context);
      return headers === undefined ? undefined : this.objectOf(headers);
    };
    return {
      value,
      text(context) {
        const object = value(context);
        return object === undefined ? undefined : JSON.stringify(object);
      },
    };
  }

  /** Names sorted; lines of one name are joined with commas, each of them cut. */
  private objectOf(headers: HeaderMap): HeaderObject {
    const { maxValueBytes, excluded } = this;
    const joined = new Map<string, string>();
    headers.forEach((name, whole) => {
      if (excluded.has(name)) return;
      const value = maxValueBytes === 0 ? whole : whole.slice(0, maxValueBytes);
      const before = joined.get(name);
      joined.set(name, before === undefined ? value : `${before},${value}`);
    });
    const object: HeaderObject = Object.create(null);
    for (const name of [...joined.keys()].sort()) object[name] = utf8Text(joined.get(name) as string);
    return object;
  }
}
