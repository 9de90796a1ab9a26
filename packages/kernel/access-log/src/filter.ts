import {
  type AccessLogFilter as AccessLogFilterConfig,
  AccessLogType,
  type ComparisonFilter,
  ComparisonFilter_Op,
  GrpcStatusFilter_Status,
  type MetadataFilter,
  type ResponseFlagFilter,
  type RuntimeFilter,
} from '@dragoman/api';
import {
  type AccessLogFilter,
  atPath,
  type Clock,
  ConfigError,
  type LogContext,
  type RandomSource,
  RequestHeaders,
  type Runtime,
  responseFlagBit,
} from '@dragoman/core';
import { compileHeaderMatcher, compileMetadataMatcher, fractionDenominator } from '@dragoman/matching';
import { grpcStatus } from './operators/grpc.ts';

/** What of a context filters use. */
export interface AccessLogFilterContext {
  readonly runtime: Runtime;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/**
 * Compiles a `config.accesslog.v3.AccessLogFilter`.
 * @throws ConfigError with a path below the message; `extension_filter` is refused by the name of the extension.
 */
export function createAccessLogFilter(
  config: AccessLogFilterConfig,
  context: AccessLogFilterContext,
): AccessLogFilter {
  const specifier = config.filterSpecifier;
  switch (specifier.case) {
    case 'statusCodeFilter':
      return atPath('status_code_filter', () =>
        comparison(specifier.value.comparison, context, ({ info }) => info.responseCode),
      );
    case 'durationFilter':
      return atPath('duration_filter', () =>
        comparison(specifier.value.comparison, context, ({ info }) =>
          Math.trunc((info.end === 0 ? context.clock.now() : info.end) - info.start),
        ),
      );
    case 'notHealthCheckFilter':
      return ({ info }) => !info.healthCheck;
    case 'traceableFilter':
      return ({ info }) => !info.healthCheck && isForced(info.requestId);
    case 'runtimeFilter':
      return atPath('runtime_filter', () => runtimeFilter(specifier.value, context));
    case 'andFilter': {
      const all = children('and_filter', specifier.value.filters, context);
      return (log) => all.every((accepts) => accepts(log));
    }
    case 'orFilter': {
      const all = children('or_filter', specifier.value.filters, context);
      return (log) => all.some((accepts) => accepts(log));
    }
    case 'headerFilter':
      return atPath('header_filter.header', () => {
        const { header } = specifier.value;
        if (header === undefined) throw ConfigError.at('', 'is required');
        const matches = compileHeaderMatcher(header);
        return ({ request = NO_HEADERS }: LogContext) => matches(request);
      });
    case 'responseFlagFilter':
      return atPath('response_flag_filter', () => responseFlagFilter(specifier.value));
    case 'grpcStatusFilter': {
      const { statuses, exclude } = specifier.value;
      const wanted = new Set<number>(statuses);
      return (log) => wanted.has(grpcStatus(log) ?? GrpcStatusFilter_Status.UNKNOWN) !== exclude;
    }
    case 'metadataFilter':
      return atPath('metadata_filter', () => metadataFilter(specifier.value));
    case 'logTypeFilter': {
      const { types, exclude } = specifier.value;
      const wanted = new Set<string>(types.map((type) => AccessLogType[type] ?? String(type)));
      return ({ type }) => wanted.has(type) !== exclude;
    }
    case 'extensionFilter':
      throw ConfigError.at(
        'extension_filter',
        `the access log filter extension "${specifier.value.name}" is not supported`,
      );
    default:
      throw ConfigError.at('', 'needs a filter');
  }
}

function children(
  field: string,
  filters: readonly AccessLogFilterConfig[],
  context: AccessLogFilterContext,
): AccessLogFilter[] {
  return filters.map((filter, index) =>
    atPath(`${field}.filters[${index}]`, () => createAccessLogFilter(filter, context)),
  );
}

/** A number against one of the config, which the runtime may replace. */
function comparison(
  config: ComparisonFilter | undefined,
  { runtime }: AccessLogFilterContext,
  read: (log: LogContext) => number,
): AccessLogFilter {
  if (config?.value === undefined) throw ConfigError.at('comparison.value', 'is required');
  const { defaultValue, runtimeKey } = config.value;
  const limit = runtimeKey === '' ? () => defaultValue : () => runtime.getInteger(runtimeKey, defaultValue);
  switch (config.op) {
    case ComparisonFilter_Op.EQ:
      return (log) => read(log) === limit();
    case ComparisonFilter_Op.GE:
      return (log) => read(log) >= limit();
    case ComparisonFilter_Op.LE:
      return (log) => read(log) <= limit();
    default:
      throw ConfigError.at('comparison.op', `${String(config.op)} is not a comparison`);
  }
}

/** What a connection without requests has: a header that must be absent is. */
const NO_HEADERS = new RequestHeaders();

/**
 * Draws from the request id, so that every proxy on the way decides alike, or at random. A value of the runtime takes the
 * place of the numerator: the denominator stays.
 */
function runtimeFilter(config: RuntimeFilter, { runtime, random }: AccessLogFilterContext): AccessLogFilter {
  const { runtimeKey, useIndependentRandomness } = config;
  if (runtimeKey === '') throw ConfigError.at('runtime_key', 'is required');
  const { percentSampled: percent } = config;
  const numerator = percent?.numerator ?? 0;
  const denominator =
    percent === undefined ? 100 : atPath('percent_sampled', () => fractionDenominator(percent));
  return ({ info }) => {
    const draw = useIndependentRandomness ? undefined : requestIdNumber(info.requestId);
    return (draw ?? random.next()) % denominator < runtime.getInteger(runtimeKey, numerator);
  };
}

const UUID_LENGTH = 36;

/** The number Envoy reads out of a UUID: its first eight hex digits. */
function requestIdNumber(id: string): number | undefined {
  if (id.length !== UUID_LENGTH || !/^[0-9a-fA-F]{8}/.test(id)) return undefined;
  return Number.parseInt(id.slice(0, 8), 16);
}

/** Whether a UUID says that a proxy forced the trace: its version digit is `a`. Sampled requests do not count, as in Envoy. */
function isForced(id: string): boolean {
  return id.length === UUID_LENGTH && id[14] === 'a';
}

/** Any of the flags; without a list, any flag at all. */
function responseFlagFilter(config: ResponseFlagFilter): AccessLogFilter {
  let mask = 0;
  config.flags.forEach((flag, index) => {
    const bit = responseFlagBit(flag);
    if (bit === undefined) throw ConfigError.at(`flags[${index}]`, `"${flag}" is not a response flag`);
    mask |= bit;
  });
  return config.flags.length === 0
    ? ({ info }) => info.responseFlags !== 0
    : ({ info }) => (info.responseFlags & mask) !== 0;
}

/** A value of dynamic metadata; `match_if_key_not_found`, true by default, decides when there is none. */
function metadataFilter(config: MetadataFilter): AccessLogFilter {
  const missing = config.matchIfKeyNotFound ?? true;
  const { matcher } = config;
  if (matcher === undefined) return () => missing;
  const compiled = atPath('matcher', () => compileMetadataMatcher(matcher));
  return ({ info }) => {
    const metadata = info.hasDynamicMetadata ? info.dynamicMetadata : undefined;
    return compiled.find(metadata) === undefined ? missing : compiled.matches(metadata);
  };
}
