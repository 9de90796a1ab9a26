import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type MutationRulesHeaderMutation as Rule,
} from '@dragoman/api';
import { atPath, ConfigError, type FormatterFactory, type HeaderMap, type LogContext } from '@dragoman/core';
import { compileStringMatcher, type StringPredicate } from '@dragoman/matching';
import { compileEdit, compileRemoval, type HeaderEdit } from './header-edit.ts';

/** One `config.common.mutation_rules.v3.HeaderMutation`: what it removes, or what it writes. */
type Step = { readonly remove: string } | { readonly removeIf: StringPredicate } | HeaderEdit;

/**
 * A list of `config.common.mutation_rules.v3.HeaderMutation`. Each step sees what the ones before it have left, as in
 * Envoy (the `*_headers_to_add` of routes, by contrast, all see the headers as they were).
 */
export class MutationRules {
  /** Whether a value depends on the message, so that {@link apply} needs a context. */
  readonly dynamic: boolean;
  private readonly steps: readonly Step[];

  constructor(steps: readonly Step[]) {
    this.steps = steps;
    this.dynamic = steps.some((step) => 'formatter' in step && step.formatter !== undefined);
  }

  /** @param context What formatters read; needed only when {@link dynamic}. */
  apply(headers: HeaderMap, context: LogContext | undefined): void {
    for (const step of this.steps) {
      if ('remove' in step) headers.remove(step.remove);
      else if ('removeIf' in step) headers.removeWhere(step.removeIf);
      else write(headers, step, context);
    }
  }
}

function write(headers: HeaderMap, edit: HeaderEdit, context: LogContext | undefined): void {
  const value = edit.valueFor(context);
  if (value === undefined) return;
  switch (edit.action) {
    case AppendAction.APPEND_IF_EXISTS_OR_ADD:
      headers.append(edit.name, value);
      break;
    case AppendAction.ADD_IF_ABSENT:
      if (!headers.has(edit.name)) headers.append(edit.name, value);
      break;
    case AppendAction.OVERWRITE_IF_EXISTS:
      if (headers.has(edit.name)) headers.set(edit.name, value);
      break;
    default:
      headers.set(edit.name, value);
  }
}

/**
 * Compiles a list of `config.common.mutation_rules.v3.HeaderMutation`.
 *
 * @param path The list's, for errors.
 * @throws ConfigError for pseudo-headers and `host`, broken formats and matchers, and a mutation that does nothing
 */
export function compileMutationRules(
  rules: readonly Rule[],
  formatters: FormatterFactory,
  path: string,
): MutationRules {
  return new MutationRules(
    rules.map((rule, i) => atPath(`${path}[${i}]`, () => compileStep(rule, formatters))),
  );
}

function compileStep({ action }: Rule, formatters: FormatterFactory): Step {
  switch (action.case) {
    case 'remove':
      return { remove: compileRemoval(action.value, 'remove') };
    case 'append': {
      const option = action.value;
      return atPath('append', () => compileEdit(option, formatters));
    }
    case 'removeOnMatch': {
      const matcher = action.value.keyMatcher;
      if (matcher === undefined) throw ConfigError.at('remove_on_match.key_matcher', 'a matcher is required');
      return { removeIf: atPath('remove_on_match.key_matcher', () => compileStringMatcher(matcher)) };
    }
    default:
      throw ConfigError.at('', 'needs one of remove, append, remove_on_match');
  }
}
