import {
  type Any,
  anyTypeName,
  durationMs,
  type HedgePolicy as HedgePolicyConfig,
  nearest,
  type RetryPolicy as RetryPolicyConfig,
  RetryPolicySchema,
  RetryPolicy_ResetHeaderFormat,
  unpackAny,
  unpackAnyAs,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FactoryContext,
  type HedgePolicy,
  parseAnyRetryOn,
  refuseUnsupported,
  RETRY_WORDS,
  type RetryHostPredicate,
  type RetryPolicy,
  type RetryPriority,
} from '@dragoman/core';
import { compileHeaderMatcher } from '@dragoman/matching';

const FIELDS = new Set(
  RetryPolicySchema.fields.map((field) => field.name).filter((name) => name !== 'retry_options_predicates'),
);

const REASONS = {
  retry_options_predicates:
    'no retry options predicate is known: what they change, options of upstream sockets, cannot be changed here',
};

/** Envoy's defaults. */
const DEFAULT_RETRIES = 1;
const DEFAULT_HOST_ATTEMPTS = 1;
const DEFAULT_MAX_RESET_MS = 300_000;
/** More draws than this find no other host either. */
const MAX_HOST_ATTEMPTS = 1000;

/** A level of a route configuration that may have a retry policy. */
interface RetryLevel {
  readonly retryPolicy?: RetryPolicyConfig | undefined;
  readonly retryPolicyTypedConfig?: Any | undefined;
}

/** The retry policy of one level; undefined when it has none. @throws ConfigError */
export function compileLevelRetry(level: RetryLevel, context: FactoryContext): RetryPolicy | undefined {
  const { retryPolicy, retryPolicyTypedConfig } = level;
  if (retryPolicy !== undefined)
    return atPath('retry_policy', () => compileRetryPolicy(retryPolicy, context));
  if (retryPolicyTypedConfig === undefined) return undefined;
  return atPath('retry_policy_typed_config', () =>
    compileRetryPolicy(unpackPolicy(retryPolicyTypedConfig), context),
  );
}

function unpackPolicy(any: Any): RetryPolicyConfig {
  const policy = unpackAnyAs(any, RetryPolicySchema);
  if (policy !== undefined) return policy;
  throw ConfigError.at('', `must be a ${RetryPolicySchema.typeName}, is a ${anyTypeName(any)}`);
}

/** @throws ConfigError with a path below the policy */
export function compileRetryPolicy(config: RetryPolicyConfig, context: FactoryContext): RetryPolicy {
  refuseUnsupported(config, RetryPolicySchema, FIELDS, '', REASONS);
  const { retryBackOff, rateLimitedRetryBackOff } = config;
  const baseIntervalMs = atLeastOne(durationMs(retryBackOff?.baseInterval));
  const maxIntervalMs = atLeastOne(durationMs(retryBackOff?.maxInterval));
  if (retryBackOff !== undefined && baseIntervalMs === undefined)
    throw ConfigError.at('retry_back_off.base_interval', 'is required');
  if (baseIntervalMs !== undefined && maxIntervalMs !== undefined && maxIntervalMs < baseIntervalMs)
    throw ConfigError.at('retry_back_off.max_interval', 'may not be less than base_interval');
  const matchers = (list: typeof config.retriableHeaders, field: string) =>
    list.map((matcher, i) => atPath(`${field}[${i}]`, () => compileHeaderMatcher(matcher)));
  return {
    on: readRetryOn(config.retryOn, context),
    maxRetries: config.numRetries ?? DEFAULT_RETRIES,
    perTryTimeoutMs: durationMs(config.perTryTimeout) ?? 0,
    perTryIdleTimeoutMs: durationMs(config.perTryIdleTimeout) ?? 0,
    retriableStatusCodes: config.retriableStatusCodes,
    retriableHeaders: matchers(config.retriableHeaders, 'retriable_headers'),
    retriableRequestHeaders: matchers(config.retriableRequestHeaders, 'retriable_request_headers'),
    baseIntervalMs,
    maxIntervalMs,
    resetHeaders: (rateLimitedRetryBackOff?.resetHeaders ?? []).map(({ name, format }) => ({
      name: name.toLowerCase(),
      format: format === RetryPolicy_ResetHeaderFormat.SECONDS ? 'seconds' : 'unix-timestamp',
    })),
    maxResetIntervalMs: atLeastOne(durationMs(rateLimitedRetryBackOff?.maxInterval)) ?? DEFAULT_MAX_RESET_MS,
    hostPredicates: config.retryHostPredicate.map((entry, i) =>
      atPath(`retry_host_predicate[${i}]`, () => hostPredicate(entry, context)),
    ),
    createPriority: atPath('retry_priority', () => retryPriority(config.retryPriority, context)),
    hostSelectionAttempts: hostAttempts(config.hostSelectionRetryMaxAttempts),
  };
}

/** Envoy passes over words that it does not know; here the operator is told. */
function readRetryOn(list: string, context: FactoryContext): number {
  const { on, unknown } = parseAnyRetryOn(list);
  for (const word of unknown) {
    const near = nearest(word, RETRY_WORDS);
    context.warn(
      'retry_policy.retry_on',
      `"${word}" is no condition, and has no effect${near === undefined ? '' : `; did you mean "${near}"?`}`,
    );
  }
  return on;
}

/** What is less than a millisecond counts as one. */
function atLeastOne(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(1, Math.floor(ms));
}

function hostAttempts(value: bigint): number {
  if (value < 0n) throw ConfigError.at('host_selection_retry_max_attempts', 'may not be negative');
  if (value > BigInt(MAX_HOST_ATTEMPTS))
    throw ConfigError.at('host_selection_retry_max_attempts', `may not be more than ${MAX_HOST_ATTEMPTS}`);
  return value === 0n ? DEFAULT_HOST_ATTEMPTS : Number(value);
}

/** A named extension of a retry policy. */
interface NamedExtension {
  readonly name: string;
  readonly configType: RetryPolicyConfig['retryHostPredicate'][number]['configType'];
}

function hostPredicate(entry: NamedExtension, context: FactoryContext): () => RetryHostPredicate {
  const { extension, config } = resolve(entry, context);
  if (extension.kind !== 'host-predicate')
    throw ConfigError.at('', `${extension.name} is no retry host predicate`);
  return atPath('typed_config', () => extension.create(config as never, context));
}

function retryPriority(
  entry: NamedExtension | undefined,
  context: FactoryContext,
): (() => RetryPriority) | undefined {
  if (entry === undefined) return undefined;
  const { extension, config } = resolve(entry, context);
  if (extension.kind !== 'priority') throw ConfigError.at('', `${extension.name} is no retry priority`);
  return atPath('typed_config', () => extension.create(config as never, context));
}

function resolve({ name, configType }: NamedExtension, { extensions }: FactoryContext) {
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  const extension = extensions.resolve(
    'retry-policies',
    name,
    any === undefined ? undefined : anyTypeName(any),
    '',
  );
  return { extension, config: any === undefined ? undefined : unpackAny(any) };
}

/** Undefined when nothing is to be done. */
export function compileHedgePolicy(
  config: HedgePolicyConfig | undefined,
  context: FactoryContext,
): HedgePolicy | undefined {
  if (config === undefined) return undefined;
  if ((config.initialRequests ?? 1) > 1)
    context.warn('hedge_policy.initial_requests', 'has no effect, as in Envoy: one request is sent at first');
  if ((config.additionalRequestChance?.numerator ?? 0) > 0)
    context.warn('hedge_policy.additional_request_chance', 'has no effect, as in Envoy');
  return { onPerTryTimeout: config.hedgeOnPerTryTimeout };
}
