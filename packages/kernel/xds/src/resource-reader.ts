import {
  type Any,
  ConstraintChecker,
  type DescMessage,
  type Message,
  typeNameOf,
  unpackAny,
} from '@dragoman/api';
import { ConfigError, type ConfigProblem, type Counter } from '@dragoman/core';
import type { UnknownFields } from '@dragoman/xds-sources';

/** A resource whose message may have been read even where something is wrong with it: its name is in there. */
export interface ReadResource {
  readonly message: Message | undefined;
  /** Empty: it can be used. */
  readonly problems: readonly ConfigProblem[];
}

/** More kinds of unknown fields than this are not told apart: what a server makes up must not fill the memory. */
const MAX_WARNINGS = 1000;
/** No one reads more of them, and the server is sent no more. */
const MAX_PROBLEMS = 50;

const HOW = { warn: 'warning', reject: 'error', ignore: 'ignore' } as const;

/** Reads resources of any type, and says what is wrong with them. It does not throw. */
export class ResourceReader {
  private readonly unknownFields: UnknownFields;
  private readonly counter: Counter;
  private readonly warn: (path: string, message: string) => void;
  private readonly warned = new Set<string>();

  /** @param counter `server.dynamic_unknown_fields` */
  constructor(unknownFields: UnknownFields, counter: Counter, warn: (path: string, message: string) => void) {
    this.unknownFields = unknownFields;
    this.counter = counter;
    this.warn = warn;
  }

  read(any: Any, schema: DescMessage): ReadResource {
    const found = typeNameOf(any.typeUrl);
    if (found !== schema.typeName)
      return bad(
        undefined,
        `is ${found === '' ? 'empty' : `a ${clip(found)}`}, and should be a ${schema.typeName}`,
      );
    let message: Message | undefined;
    try {
      message = unpackAny(any);
      if (message === undefined) return bad(undefined, `${schema.typeName} is not known`);
      return { message, problems: this.check(message, schema) };
    } catch (error) {
      if (error instanceof ConfigError) return { message, problems: error.problems };
      // A message nested so deep that the check runs out of stack, say.
      return bad(message, error instanceof Error ? error.message : String(error));
    }
  }

  private check(message: Message, schema: DescMessage): readonly ConfigProblem[] {
    const checker = new ConstraintChecker({ unknownFields: HOW[this.unknownFields] });
    checker.message(message, schema);
    if (this.unknownFields === 'warn' && checker.messagesWithUnknownFields > 0) {
      this.counter.add(checker.messagesWithUnknownFields);
      for (const problem of checker.problems)
        if (problem.severity === 'warning') this.warnOnce(problem.message);
    }
    return checker.problems.filter(({ severity }) => severity !== 'warning').slice(0, MAX_PROBLEMS);
  }

  private warnOnce(message: string): void {
    if (this.warned.has(message) || this.warned.size >= MAX_WARNINGS) return;
    this.warned.add(message);
    this.warn('', `${message}: the control plane is newer than this proxy, which passes over the field`);
  }
}

function bad(message: Message | undefined, text: string): ReadResource {
  return { message, problems: [{ path: '', message: text }] };
}

function clip(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
