import {
  CoreRetryPolicySchema,
  durationMs,
  type GrpcService,
  type GrpcService_EnvoyGrpc as EnvoyGrpc,
  GrpcServiceSchema,
  isFieldSet,
  isMessage,
} from '@dragoman/api';
import {
  atPath,
  type BackOffRange,
  ConfigError,
  type FactoryContext,
  type GrpcClientOptions,
  type GrpcTargetClusters,
  refuseUnsupported,
  type StatsScope,
} from '@dragoman/core';
import { MAX_KNOWN_GRPC_STATUS } from '@dragoman/grpc-frames';
import type { GoogleGrpcStats, ServiceSettings } from './client-core.ts';
import { compileGoogleGrpc } from './google-grpc.ts';
import { compileInitialMetadata } from './metadata.ts';
import { compileBackOff, compileRetryPolicy } from './retry-policy.ts';

const FIELDS = new Set(['envoy_grpc', 'google_grpc', 'timeout', 'initial_metadata', 'retry_policy']);
/** What xDS streams have in Envoy. */
const RECONNECT: BackOffRange = { baseMs: 500, maxMs: 30_000 };
/** Envoy has no limit; here nothing that comes from the network is without one. */
const DEFAULT_MAX_RECEIVE_BYTES = 64 * 1024 * 1024;

/** Where calls go, whichever of the two ways it is written. */
type Target = Omit<ServiceSettings, 'timeoutMs' | 'metadata' | 'retry'>;

/** A `GrpcService` as settings. @throws ConfigError with a path below the message */
export function compileService(
  config: unknown,
  context: FactoryContext,
  targets: GrpcTargetClusters | undefined,
  options: GrpcClientOptions,
): ServiceSettings {
  if (!isMessage(config, GrpcServiceSchema))
    throw ConfigError.at('', `must be a ${GrpcServiceSchema.typeName}`);
  refuseUnsupported(config, GrpcServiceSchema, FIELDS);
  const { targetSpecifier, retryPolicy } = config;
  const common = {
    timeoutMs: readTimeout(config),
    retry:
      retryPolicy === undefined
        ? undefined
        : atPath('retry_policy', () => compileRetryPolicy(retryPolicy, '', context)),
  };
  const metadata = (strict: boolean, credentials: readonly (readonly [string, string])[]) =>
    compileInitialMetadata(config.initialMetadata, context.formatters, strict, credentials);
  switch (targetSpecifier.case) {
    case 'envoyGrpc': {
      const target = atPath('envoy_grpc', () => envoyTarget(targetSpecifier.value, context, options));
      return { ...target, ...common, metadata: metadata(false, []) };
    }
    case 'googleGrpc': {
      if (targets === undefined)
        throw ConfigError.at('google_grpc', 'is not supported here: use envoy_grpc and a cluster');
      const google = atPath('google_grpc', () => compileGoogleGrpc(targetSpecifier.value, context));
      const clusterName = atPath('google_grpc.target_uri', () =>
        targets.clusterFor(google.target, google.tls),
      );
      return {
        ...common,
        destination: targetSpecifier.value.targetUri,
        clusterName,
        authority: google.authority,
        metadata: metadata(true, google.credentials),
        reconnect: RECONNECT,
        maxReceiveBytes: google.maxReceiveBytes ?? options.maxReceiveBytes ?? DEFAULT_MAX_RECEIVE_BYTES,
        // gRPC's own library knows nothing of them.
        skipEnvoyHeaders: true,
        bufferLimitBytes: google.bufferLimitBytes,
        stats: googleStats((options.stats ?? context.stats).scope(`grpc.${google.statPrefix}`)),
      };
    }
    default:
      throw ConfigError.at('', 'needs one of envoy_grpc, google_grpc');
  }
}

function readTimeout({ timeout }: GrpcService): number | undefined {
  const ms = durationMs(timeout);
  if (ms !== undefined && ms < 0) throw ConfigError.at('timeout', 'may not be negative');
  return ms;
}

function envoyTarget(config: EnvoyGrpc, context: FactoryContext, options: GrpcClientOptions): Target {
  const { clusterName, authority, retryPolicy, maxReceiveMessageLength } = config;
  if (clusterName === '') throw ConfigError.at('cluster_name', 'is required');
  return {
    destination: clusterName,
    clusterName,
    authority: authority === '' ? clusterName : authority,
    reconnect: retryPolicy === undefined ? RECONNECT : readReconnect(retryPolicy, context),
    maxReceiveBytes: maxReceiveMessageLength || options.maxReceiveBytes || DEFAULT_MAX_RECEIVE_BYTES,
    skipEnvoyHeaders: config.skipEnvoyHeaders,
    bufferLimitBytes: undefined,
    stats: undefined,
  };
}

/** Envoy reads the back-off of it, for streams that are opened again, and nothing else. */
function readReconnect(policy: NonNullable<EnvoyGrpc['retryPolicy']>, context: FactoryContext): BackOffRange {
  for (const field of CoreRetryPolicySchema.fields) {
    if (field.name !== 'retry_back_off' && isFieldSet(policy, field))
      context.warn(
        `envoy_grpc.retry_policy.${field.name}`,
        'has no effect, as in Envoy: the retry_policy beside envoy_grpc is for calls',
      );
  }
  return atPath('retry_policy', () => compileBackOff(policy.retryBackOff)) ?? RECONNECT;
}

function googleStats(scope: StatsScope): GoogleGrpcStats {
  scope.counter('google_grpc_client_creation').inc();
  return {
    streamsTotal: scope.counter('streams_total'),
    streamsClosed: Array.from({ length: MAX_KNOWN_GRPC_STATUS + 1 }, (_, code) =>
      scope.counter(`streams_closed_${code}`),
    ),
  };
}
