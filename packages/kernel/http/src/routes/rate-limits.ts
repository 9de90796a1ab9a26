import type {
  MetadataKey,
  RateLimit,
  RateLimit_Action,
  RateLimit_Action_QueryParameterValueMatch,
  RateLimit_HitsAddend,
  RateLimit_Override,
} from '@dragoman/api';
import { RateLimit_Action_MetaData_Source as Source } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FactoryContext,
  RATE_LIMIT_UNITS,
  type RateLimitDescriptor,
  type RateLimitedRequest,
  type RateLimitEntry,
  type RateLimitRule,
  type RateLimits,
  type RateLimitUnit,
  type TextFormatter,
} from '@dragoman/core';
import {
  compileHeaderMatchers,
  compileQueryValue,
  decodedQueryParameter,
  metadataValue,
  utf8Bytes,
  utf8Text,
} from '@dragoman/matching';
import { maskedAddress } from '@dragoman/client-address';

const MAX_STAGE = 10;
const MAX_HITS = 1_000_000_000;

/** An action whose entry is left out while the descriptor stays. */
const NO_ENTRY = Symbol('no entry');

const NO_RULES: readonly RateLimitRule[] = [];

/** One action; undefined: it does not apply, and with it the whole descriptor falls. */
type Action = (request: RateLimitedRequest) => RateLimitEntry | typeof NO_ENTRY | undefined;
type HitsAddend = (request: RateLimitedRequest) => number | undefined;

/**
 * Compiles `rate_limits` of a route or virtual host.
 * @throws ConfigError with a path below the list's owner
 */
export function compileRateLimits(
  configs: readonly RateLimit[],
  context: FactoryContext,
): readonly RateLimitRule[] {
  if (configs.length === 0) return NO_RULES;
  context.warn('rate_limits', 'are kept for filters that limit by them; this proxy has no such filter yet');
  return configs.map((config, i) => atPath(`rate_limits[${i}]`, () => new CompiledRule(config, context)));
}

/** Undefined when neither level has any. */
export function joinRateLimits(
  route: readonly RateLimitRule[],
  virtualHost: readonly RateLimitRule[],
  includeVirtualHost: boolean,
): RateLimits | undefined {
  return route.length === 0 && virtualHost.length === 0
    ? undefined
    : { route, virtualHost, includeVirtualHost };
}

class CompiledRule implements RateLimitRule {
  readonly stage: number;
  readonly disableKey: string;
  readonly applyOnStreamDone: boolean;
  private readonly actions: readonly Action[];
  private readonly limit: ((request: RateLimitedRequest) => RateLimitDescriptor['limit']) | undefined;
  private readonly hits: HitsAddend | undefined;

  constructor(config: RateLimit, context: FactoryContext) {
    this.stage = config.stage ?? 0;
    if (this.stage > MAX_STAGE) throw ConfigError.at('stage', `must be at most ${MAX_STAGE}`);
    this.disableKey = config.disableKey;
    this.applyOnStreamDone = config.applyOnStreamDone;
    if (config.actions.length === 0) throw ConfigError.at('actions', 'needs one action at least');
    this.actions = config.actions.map((action, i) => atPath(`actions[${i}]`, () => compileAction(action)));
    const { limit, hitsAddend } = config;
    this.limit = limit === undefined ? undefined : atPath('limit', () => compileLimit(limit));
    this.hits =
      hitsAddend === undefined ? undefined : atPath('hits_addend', () => compileHits(hitsAddend, context));
  }

  descriptor(request: RateLimitedRequest): RateLimitDescriptor | undefined {
    const entries: RateLimitEntry[] = [];
    for (const action of this.actions) {
      const entry = action(request);
      if (entry === undefined) return undefined;
      // As in Envoy, an entry without a key is none.
      if (entry !== NO_ENTRY && entry.key !== '') entries.push(entry);
    }
    let hitsAddend: number | undefined;
    if (this.hits !== undefined) {
      hitsAddend = this.hits(request);
      if (hitsAddend === undefined) return undefined;
    }
    return { entries, limit: this.limit?.(request), hitsAddend };
  }
}

function compileAction({ actionSpecifier: specifier }: RateLimit_Action): Action {
  switch (specifier.case) {
    case 'sourceCluster':
      return ({ localCluster }) => ({ key: 'source_cluster', value: localCluster });
    case 'destinationCluster':
      return destinationCluster;
    case 'requestHeaders': {
      const { headerName, descriptorKey: key, skipIfAbsent } = specifier.value;
      const name = headerName.toLowerCase();
      return ({ headers }) => entryOr(key, headers.get(name), skipIfAbsent);
    }
    case 'queryParameters': {
      const { queryParameterName, descriptorKey: key, skipIfAbsent } = specifier.value;
      const name = utf8Bytes(queryParameterName);
      return ({ headers }) => entryOr(key, decodedQueryParameter(headers.path, name), skipIfAbsent);
    }
    case 'remoteAddress':
      return ({ info: { remoteAddress } }) =>
        remoteAddress.ip === '' ? undefined : { key: 'remote_address', value: remoteAddress.ip };
    case 'maskedRemoteAddress': {
      const { v4PrefixMaskLen = 32, v6PrefixMaskLen = 128 } = specifier.value;
      return ({ info: { remoteAddress } }) => {
        if (remoteAddress.ip === '') return undefined;
        const bits = remoteAddress.family === 'ipv4' ? v4PrefixMaskLen : v6PrefixMaskLen;
        return { key: 'masked_remote_address', value: `${maskedAddress(remoteAddress, bits)}/${bits}` };
      };
    }
    case 'genericKey': {
      const { descriptorKey, descriptorValue: value } = specifier.value;
      const entry = { key: descriptorKey === '' ? 'generic_key' : descriptorKey, value };
      return () => entry;
    }
    case 'headerValueMatch': {
      const { descriptorKey, descriptorValue: value, expectMatch = true } = specifier.value;
      const matches = atPath('header_value_match.headers', () =>
        compileHeaderMatchers(specifier.value.headers),
      );
      const entry = { key: descriptorKey === '' ? 'header_match' : descriptorKey, value };
      return ({ headers }) => (matches(headers) === expectMatch ? entry : undefined);
    }
    case 'queryParameterValueMatch':
      return atPath('query_parameter_value_match', () => queryParameterValueMatch(specifier.value));
    case 'dynamicMetadata': {
      const { descriptorKey, metadataKey, defaultValue } = specifier.value;
      const path = metadataPath(metadataKey, 'dynamic_metadata.metadata_key');
      return metadataEntry(descriptorKey, path, defaultValue, false, Source.DYNAMIC);
    }
    case 'metadata': {
      const { descriptorKey, metadataKey, defaultValue, skipIfAbsent, source } = specifier.value;
      const path = metadataPath(metadataKey, 'metadata.metadata_key');
      return metadataEntry(descriptorKey, path, defaultValue, skipIfAbsent, source);
    }
    case 'extension':
      throw ConfigError.at(
        'extension',
        `the descriptor extension "${specifier.value.name}" is not supported: expressions and matcher inputs are not built; use another action`,
      );
    default:
      throw ConfigError.at(
        '',
        'needs one of source_cluster, destination_cluster, request_headers, query_parameters, remote_address, generic_key, header_value_match, metadata, masked_remote_address, query_parameter_value_match',
      );
  }
}

const destinationCluster: Action = ({ headers, route }) =>
  route.action.kind === 'forward'
    ? { key: 'destination_cluster', value: route.action.clusterName(headers, 0) }
    : undefined;

function entryOr(key: string, value: string | undefined, skipIfAbsent: boolean): ReturnType<Action> {
  return value !== undefined ? { key, value } : skipIfAbsent ? NO_ENTRY : undefined;
}

function queryParameterValueMatch(config: RateLimit_Action_QueryParameterValueMatch): Action {
  const { descriptorKey, descriptorValue: value, expectMatch = true } = config;
  const parameters = config.queryParameters.map((parameter, i) =>
    atPath(`query_parameters[${i}]`, () => ({
      name: utf8Bytes(parameter.name),
      holds: compileQueryValue(parameter),
    })),
  );
  const entry = { key: descriptorKey === '' ? 'query_match' : descriptorKey, value };
  return ({ headers: { path } }) => {
    const matches = parameters.every(({ name, holds }) => holds(decodedQueryParameter(path, name)));
    return matches === expectMatch ? entry : undefined;
  };
}

interface MetadataPath {
  readonly namespace: string;
  readonly keys: readonly string[];
}

/** @throws ConfigError when the key has no namespace */
function metadataPath(key: MetadataKey | undefined, path: string): MetadataPath {
  if (key === undefined || key.key === '') throw ConfigError.at(`${path}.key`, 'is required');
  return {
    namespace: key.key,
    keys: key.path.map((segment) => (segment.segment.case === 'key' ? segment.segment.value : '')),
  };
}

function metadataEntry(
  key: string,
  { namespace, keys }: MetadataPath,
  defaultValue: string,
  skipIfAbsent: boolean,
  source: Source,
): Action {
  return ({ info, route }) => {
    const metadata =
      source === Source.ROUTE_ENTRY
        ? route.metadata
        : info.hasDynamicMetadata
          ? info.dynamicMetadata
          : undefined;
    const found = metadataValue(metadata, namespace, keys);
    const value = typeof found === 'string' && found !== '' ? found : defaultValue;
    return value !== '' ? { key, value } : skipIfAbsent ? NO_ENTRY : undefined;
  };
}

function compileLimit({
  overrideSpecifier: specifier,
}: RateLimit_Override): (request: RateLimitedRequest) => RateLimitDescriptor['limit'] {
  if (specifier.case !== 'dynamicMetadata') throw ConfigError.at('', 'needs dynamic_metadata');
  const { namespace, keys } = metadataPath(specifier.value.metadataKey, 'dynamic_metadata.metadata_key');
  return ({ info }) => {
    if (!info.hasDynamicMetadata) return undefined;
    const found = metadataValue(info.dynamicMetadata, namespace, keys);
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined;
    const { requests_per_unit: requests, unit } = found as Readonly<Record<string, unknown>>;
    if (typeof requests !== 'number' || !isUnit(unit)) return undefined;
    return { requestsPerUnit: Math.trunc(requests) >>> 0, unit };
  };
}

function isUnit(value: unknown): value is RateLimitUnit {
  return RATE_LIMIT_UNITS.includes(value as RateLimitUnit);
}

/** One operator of the command language, with its arguments and length. */
const ONE_OPERATOR = /^%[A-Z0-9_]+(?:\([^)]*\))?(?::\d+)?%$/;

function compileHits(config: RateLimit_HitsAddend, { formatters }: FactoryContext): HitsAddend {
  const { number, format } = config;
  if ((number === undefined) === (format === ''))
    throw ConfigError.at('', 'needs either a number or a format');
  if (number !== undefined) {
    const hits = Number(number);
    if (hits > MAX_HITS) throw ConfigError.at('number', `must be at most ${MAX_HITS}`);
    return () => hits;
  }
  if (!ONE_OPERATOR.test(format)) throw ConfigError.at('format', 'must be exactly one command operator');
  const formatter = atPath('format', () => formatters.text(format));
  return (request) => formattedHits(formatter, request);
}

/** Undefined for what is no number from 0 to 10⁹. */
function formattedHits(formatter: TextFormatter, { headers, info }: RateLimitedRequest): number | undefined {
  const text = formatter
    .format({ info, request: headers, response: undefined, responseTrailers: undefined, type: 'NotSet' })
    .trim();
  const hits = text === '' ? Number.NaN : Number(utf8Text(text));
  return hits >= 0 && hits <= MAX_HITS ? Math.trunc(hits) : undefined;
}
