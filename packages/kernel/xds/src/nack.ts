import { create, type Status, StatusSchema } from '@dragoman/api';
import { ConfigError, type ConfigProblem, formatProblem } from '@dragoman/core';

/** INVALID_ARGUMENT. */
const CODE = 3;
/** Envoy's limit, characters: it has to fit into what servers take as a header. */
const MAX_MESSAGE = 4096;

/** What a server is told of an update that was refused. */
export function nackStatus(problems: readonly ConfigProblem[]): Status {
  return create(StatusSchema, { code: CODE, message: describeProblems(problems) });
}

/** A line for each, cut to a length that servers and logs bear. */
export function describeProblems(problems: readonly ConfigProblem[]): string {
  let text = '';
  for (const problem of problems) {
    const line = formatProblem(problem);
    text = text === '' ? line : `${text}\n${line}`;
    if (text.length > MAX_MESSAGE) return `${text.slice(0, MAX_MESSAGE)}...(truncated)`;
  }
  return text;
}

/** What was thrown, as problems. */
export function problemsOf(error: unknown): readonly ConfigProblem[] {
  if (error instanceof ConfigError) return error.problems;
  return [{ path: '', message: error instanceof Error ? error.message : String(error) }];
}
