import type { ListenerFilterChainMatchPredicate } from '@dragoman/api';
import { ConfigError, type ConnectionInfo } from '@dragoman/core';

/** Whether a listener filter is left out of a connection (`filter_disabled`). */
export type FilterDisabled = (info: ConnectionInfo) => boolean;

/** @throws ConfigError with a path below the predicate */
export function compileFilterDisabled(
  predicate: ListenerFilterChainMatchPredicate,
  path = '',
): FilterDisabled {
  const below = (field: string): string => (path === '' ? field : `${path}.${field}`);
  const { rule } = predicate;
  switch (rule.case) {
    case 'orMatch': {
      const rules = compileRules(rule.value.rules, below('or_match'));
      return (info) => rules.some((matches) => matches(info));
    }
    case 'andMatch': {
      const rules = compileRules(rule.value.rules, below('and_match'));
      return (info) => rules.every((matches) => matches(info));
    }
    case 'notMatch': {
      const matches = compileFilterDisabled(rule.value, below('not_match'));
      return (info) => !matches(info);
    }
    case 'anyMatch':
      if (!rule.value) throw ConfigError.at(below('any_match'), 'must be true');
      return () => true;
    case 'destinationPortRange': {
      // The end does not belong to it.
      const { start, end } = rule.value;
      return ({ localAddress: { family, port } }) => family !== 'pipe' && port >= start && port < end;
    }
    default:
      throw ConfigError.at(
        path,
        'names no rule: use or_match, and_match, not_match, any_match or destination_port_range',
      );
  }
}

function compileRules(rules: readonly ListenerFilterChainMatchPredicate[], path: string): FilterDisabled[] {
  if (rules.length < 2) throw ConfigError.at(`${path}.rules`, `needs two rules or more, has ${rules.length}`);
  return rules.map((rule, i) => compileFilterDisabled(rule, `${path}.rules[${i}]`));
}
