import type { RouteMatch } from '@dragoman/api';
import {
  atPath,
  isGrpcContentType,
  type RequestHeaders,
  type Runtime,
  type StreamInfo,
} from '@dragoman/core';
import {
  compileCookieMatcher,
  compileFilterStateMatcher,
  compileHeaderMatcher,
  compileMetadataMatcher,
  compileQueryParameter,
  compileRuntimeFraction,
} from '@dragoman/matching';

/** What a route asks for besides the path. `random` feeds runtime fractions. */
export type Condition = (headers: RequestHeaders, info: StreamInfo, random: number) => boolean;

/** Shared: most routes ask for nothing but a path. */
const NO_CONDITIONS: readonly ListedCondition[] = [];

/** One condition of a match, with the place in the match that asks for it. */
export interface ListedCondition {
  /** `headers[0]`, `grpc`, … */
  readonly field: string;
  readonly holds: Condition;
}

/**
 * The conditions of a match besides its path, in Envoy's order.
 * @throws ConfigError with a path below the match
 */
export function listConditions(match: RouteMatch, runtime: Runtime): readonly ListedCondition[] {
  const all: ListedCondition[] = [];
  const add = (field: string, compile: () => Condition) => all.push({ field, holds: atPath(field, compile) });
  const { runtimeFraction: fraction } = match;
  if (fraction !== undefined)
    add('runtime_fraction', () => {
      const holds = compileRuntimeFraction(fraction, runtime);
      return (_headers, _info, random) => holds(random);
    });
  if (match.grpc !== undefined) add('grpc', () => isGrpcContentType);
  match.headers.forEach((matcher, i) => {
    add(`headers[${i}]`, () => compileHeaderMatcher(matcher));
  });
  match.queryParameters.forEach((matcher, i) => {
    add(`query_parameters[${i}]`, () => {
      const matches = compileQueryParameter(matcher);
      return (headers) => matches(headers.path);
    });
  });
  match.cookies.forEach((matcher, i) => {
    add(`cookies[${i}]`, () => compileCookieMatcher(matcher));
  });
  const { tlsContext: tls } = match;
  if (tls !== undefined) add('tls_context', () => tlsContext(tls.presented, tls.validated));
  match.dynamicMetadata.forEach((matcher, i) => {
    add(`dynamic_metadata[${i}]`, () => {
      const compiled = compileMetadataMatcher(matcher);
      return (_headers, info) => compiled.matches(info.hasDynamicMetadata ? info.dynamicMetadata : undefined);
    });
  });
  match.filterState.forEach((matcher, i) => {
    add(`filter_state[${i}]`, () => {
      const matches = compileFilterStateMatcher(matcher);
      return (_headers, info) => matches(info.hasFilterState ? info.filterState : undefined);
    });
  });
  return all.length === 0 ? NO_CONDITIONS : all;
}

/** All conditions as one; undefined when there are none. */
export function allOf(listed: readonly ListedCondition[]): Condition | undefined {
  if (listed.length <= 1) return listed[0]?.holds;
  const all = listed.map(({ holds }) => holds);
  return (headers, info, random) => {
    for (let i = 0; i < all.length; i++) if (!(all[i] as Condition)(headers, info, random)) return false;
    return true;
  };
}

/** Undefined asks for nothing. */
function tlsContext(presented: boolean | undefined, validated: boolean | undefined): Condition {
  return (_headers, info) => {
    const { tls } = info.connection;
    if (presented !== undefined) {
      const fingerprint = tls?.peerFingerprint256;
      if ((fingerprint !== undefined && fingerprint !== '') !== presented) return false;
    }
    return validated === undefined || (tls?.peerCertificateValidated === true) === validated;
  };
}
