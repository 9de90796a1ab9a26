import type { RouteMatch } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FractionalPercent,
  type RequestHeaders,
  type Runtime,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import { compileHeaderMatcher, compileMetadataMatcher } from '@dragoman/matching';
import { compileQueryParameter } from './query.ts';

/** What a route asks for besides the path. `random` feeds runtime fractions. */
export type Condition = (headers: RequestHeaders, info: StreamInfo, random: number) => boolean;

const ID_CONTENT_TYPE = wellKnownId('content-type');
const GRPC = 'application/grpc';

/**
 * The conditions of a match besides its path, in Envoy's order; undefined when there are none.
 * @throws ConfigError with a path below the match
 */
export function compileConditions(match: RouteMatch, runtime: Runtime): Condition | undefined {
  const all: Condition[] = [];
  if (match.runtimeFraction !== undefined) all.push(runtimeFraction(match, runtime));
  if (match.grpc !== undefined) all.push(isGrpc);
  match.headers.forEach((matcher, i) => {
    all.push(atPath(`headers[${i}]`, () => compileHeaderMatcher(matcher)));
  });
  match.queryParameters.forEach((matcher, i) => {
    const matches = atPath(`query_parameters[${i}]`, () => compileQueryParameter(matcher));
    all.push((headers) => matches(headers.path));
  });
  if (match.tlsContext !== undefined)
    all.push(tlsContext(match.tlsContext.presented, match.tlsContext.validated));
  match.dynamicMetadata.forEach((matcher, i) => {
    const compiled = atPath(`dynamic_metadata[${i}]`, () => compileMetadataMatcher(matcher));
    all.push((_headers, info) =>
      compiled.matches(info.hasDynamicMetadata ? info.dynamicMetadata : undefined),
    );
  });
  return allOf(all);
}

function allOf(all: readonly Condition[]): Condition | undefined {
  if (all.length <= 1) return all[0];
  return (headers, info, random) => {
    for (let i = 0; i < all.length; i++) if (!(all[i] as Condition)(headers, info, random)) return false;
    return true;
  };
}

/** The denominators of `type.v3.FractionalPercent.DenominatorType`. */
const DENOMINATORS = [100, 10_000, 1_000_000] as const;

function runtimeFraction(match: RouteMatch, runtime: Runtime): Condition {
  const { defaultValue, runtimeKey } = match.runtimeFraction as NonNullable<RouteMatch['runtimeFraction']>;
  if (defaultValue === undefined) throw ConfigError.at('runtime_fraction.default_value', 'is required');
  const denominator = DENOMINATORS[defaultValue.denominator];
  if (denominator === undefined)
    throw ConfigError.at('runtime_fraction.default_value.denominator', 'is no known denominator');
  const fallback: FractionalPercent = { numerator: defaultValue.numerator, denominator };
  return (_headers, _info, random) => runtime.featureEnabled(runtimeKey, fallback, random);
}

const isGrpc: Condition = (headers) => {
  const type = headers.getKnown(ID_CONTENT_TYPE);
  if (type === undefined || !type.startsWith(GRPC)) return false;
  return type.length === GRPC.length || type.charAt(GRPC.length) === '+';
};

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
