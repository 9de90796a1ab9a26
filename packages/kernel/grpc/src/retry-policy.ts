import {
  anyTypeName,
  type CoreRetryPolicy,
  CoreRetryPolicySchema,
  type BackoffStrategy,
  durationMs,
  isMessage,
  nearest,
  unpackAny,
} from '@dragoman/api';
import {
  atPath,
  type BackOffRange,
  ConfigError,
  type FactoryContext,
  parseAnyRetryOn,
  RETRY_WORDS,
  type RetryHostPredicate,
  type RetryPolicy,
  type RetryPriority,
} from '@dragoman/core';

/** Envoy's defaults of a policy without `retry_back_off`. */
const DEFAULT_RANGE: BackOffRange = { baseMs: 1000, maxMs: 10_000 };
const DEFAULT_RETRIES = 1;
const DEFAULT_HOST_ATTEMPTS = 1;
/** More draws than this find no other host either. */
const MAX_HOST_ATTEMPTS = 1000;

/**
 * Compiles an `envoy.config.core.v3.RetryPolicy`.
 * @param defaultRetryOn where its `retry_on` is empty
 * @throws ConfigError with a path below the policy
 */
export function compileRetryPolicy(
  config: unknown,
  defaultRetryOn: string,
  context: FactoryContext,
): RetryPolicy {
  if (!isMessage(config, CoreRetryPolicySchema))
    throw ConfigError.at('', `must be a ${CoreRetryPolicySchema.typeName}`);
  const { baseMs, maxMs } = compileBackOff(config.retryBackOff) ?? DEFAULT_RANGE;
  return {
    on: readRetryOn(config.retryOn === '' ? defaultRetryOn : config.retryOn, context),
    maxRetries: config.numRetries ?? DEFAULT_RETRIES,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    baseIntervalMs: baseMs,
    maxIntervalMs: maxMs,
    resetHeaders: [],
    maxResetIntervalMs: 0,
    hostPredicates: config.retryHostPredicate.map((entry, i) =>
      atPath(`retry_host_predicate[${i}]`, () => hostPredicate(entry, context)),
    ),
    createPriority: atPath('retry_priority', () => retryPriority(config.retryPriority, context)),
    hostSelectionAttempts: hostAttempts(config.hostSelectionRetryMaxAttempts),
  };
}

/** Undefined for none. @throws ConfigError with a path that begins at `retry_back_off` */
export function compileBackOff(config: BackoffStrategy | undefined): BackOffRange | undefined {
  if (config === undefined) return undefined;
  const baseMs = atLeastOne(durationMs(config.baseInterval));
  if (baseMs === undefined) throw ConfigError.at('retry_back_off.base_interval', 'is required');
  const maxMs = atLeastOne(durationMs(config.maxInterval)) ?? baseMs * 10;
  if (maxMs < baseMs)
    throw ConfigError.at('retry_back_off.max_interval', 'may not be less than base_interval');
  return { baseMs, maxMs };
}

/** What is less than a millisecond counts as one. */
function atLeastOne(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(1, Math.floor(ms));
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
  if (on === 0)
    context.warn('retry_policy.retry_on', 'names no condition: nothing is tried again, as in Envoy');
  return on;
}

function hostAttempts(value: bigint): number {
  if (value < 0n) throw ConfigError.at('host_selection_retry_max_attempts', 'may not be negative');
  if (value > BigInt(MAX_HOST_ATTEMPTS))
    throw ConfigError.at('host_selection_retry_max_attempts', `may not be more than ${MAX_HOST_ATTEMPTS}`);
  return value === 0n ? DEFAULT_HOST_ATTEMPTS : Number(value);
}

type NamedExtension =
  | CoreRetryPolicy['retryHostPredicate'][number]
  | NonNullable<CoreRetryPolicy['retryPriority']>;

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
  const typeName = any === undefined ? undefined : anyTypeName(any);
  const extension = extensions.resolve('retry-policies', name, typeName, '');
  return { extension, config: any === undefined ? undefined : unpackAny(any) };
}
