import { type JsonObject, type RouteMatch, toConfigJson } from '@dragoman/api';
import type { FactoryContext, RequestHeaders, StreamInfo } from '@dragoman/core';
import { cookieValue, queryParameter, utf8Bytes, utf8Text } from '@dragoman/matching';
import { compilePathCondition } from '../routes/path-condition.ts';
import { listConditions } from '../routes/conditions.ts';
import { matchesPath } from '../routes/route-list.ts';

/** A request as a route is asked about it. */
export interface AskedRequest {
  readonly headers: RequestHeaders;
  readonly info: StreamInfo;
  /** Draws runtime fractions. 0 ≤ random < 2⁵³. */
  readonly random: number;
}

/** Why a match does not take a request; undefined: it does. */
export type WhyNot = (request: AskedRequest) => string | undefined;

/**
 * Compiles a match into a function that tells every condition which does not hold, or only the path, when that already does not fit.
 * @param ignoreParameters `ignore_path_parameters_in_path_matching`
 */
export function compileWhyNot(match: RouteMatch, context: FactoryContext, ignoreParameters: boolean): WhyNot {
  const path = compilePathCondition(match, context);
  const conditions = listConditions(match, context.runtime);
  return ({ headers, info, random }) => {
    if (!matchesPath(path, headers, info, ignoreParameters)) return pathMismatch(match, headers);
    const failed = conditions.filter(({ holds }) => !holds(headers, info, random));
    if (failed.length === 0) return undefined;
    const config = toConfigJson(match) as JsonObject;
    return failed.map(({ field }) => conditionText(field, config, headers)).join('; ');
  };
}

/** What the condition at `field` of a match asks for, and what the request has. */
function conditionText(field: string, match: JsonObject, headers: RequestHeaders): string {
  const [name, index] = field.split(/[[\]]/) as [string, string | undefined];
  const whole = match[name];
  const config = index === undefined ? whole : (whole as JsonObject[])[Number(index)];
  const asked = `${field} ${JSON.stringify(config)} does not hold`;
  const of = (config as { readonly name?: string } | undefined)?.name;
  if (of === undefined) return asked;
  if (name === 'headers') return `${asked}: ${found(of, headers.getJoined(of.toLowerCase()))}`;
  if (name === 'query_parameters')
    return `${asked}: ${found(of, queryParameter(headers.path, utf8Bytes(of)))}`;
  if (name === 'cookies') return `${asked}: ${found(`cookie ${of}`, cookieValue(headers, utf8Bytes(of)))}`;
  return asked;
}

const found = (name: string, value: string | undefined) =>
  value === undefined ? `the request has no ${name}` : `${name} is ${JSON.stringify(utf8Text(value))}`;

function pathMismatch(match: RouteMatch, { path, method }: RequestHeaders): string {
  const specifier = match.pathSpecifier;
  const what =
    path === '' ? `a ${method} request without a path` : `the path ${JSON.stringify(utf8Text(path))}`;
  const anyCase = match.caseSensitive === false ? ', in whatever case' : '';
  switch (specifier.case) {
    case 'prefix':
      return `${what} does not begin with "${specifier.value}"${anyCase}`;
    case 'path':
      return `${what} is not "${specifier.value}"${anyCase}`;
    case 'pathSeparatedPrefix':
      return `${what} is neither "${specifier.value}" nor below "${specifier.value}/"${anyCase}`;
    case 'safeRegex':
      return `${what} does not match ${specifier.value.regex}`;
    default: {
      const config = toConfigJson(match) as JsonObject;
      const [name] = Object.keys(config).filter((key) => /path|connect/.test(key));
      return `${what} does not match ${name ?? 'the path'} ${JSON.stringify(name === undefined ? null : config[name])}`;
    }
  }
}
