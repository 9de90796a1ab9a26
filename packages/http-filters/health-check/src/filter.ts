import {
  type ClusterManager,
  type DrainDecision,
  type HeadersVerdict,
  type HttpFilter,
  type HttpStream,
  type RequestHeaders,
  ResponseFlag,
  type ResponseHeaders,
  wellKnownId,
} from '@dragoman/core';
import type { AnswerCache } from './cache.ts';
import type { Options } from './config.ts';
import type { HealthCheckStats } from './stats.ts';
import { FAILED, judgeClusters, type Verdict } from './verdict.ts';

const ID_DEGRADED = wellKnownId('x-envoy-degraded');
const ID_IMMEDIATE_FAIL = wellKnownId('x-envoy-immediate-health-check-fail');

/** What all streams of a filter share. */
export interface Shared {
  readonly options: Options;
  readonly cache: AnswerCache | undefined;
  readonly stats: HealthCheckStats;
  readonly drain: DrainDecision;
  readonly clusters: ClusterManager;
  /** `--service-cluster`, as bytes. */
  readonly clusterName: string;
}

/** Answers health checks, or marks those that pass. */
export class HealthCheckFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private isHealthCheck = false;
  /** The request is answered here, when all of it has come. */
  private handling = false;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): HeadersVerdict {
    const { options, stats, drain, cache } = this.shared;
    if (!options.matches(headers)) return;
    this.isHealthCheck = true;
    this.stream.info.healthCheck = true;
    stats.requestTotal.inc();
    if (options.passThrough && !drain.healthCheckFailed && cache?.current === undefined) return;
    this.handling = true;
    if (!endStream) return 'collect';
    this.answer();
    return 'pause';
  }

  onRequestBody(_chunk: Buffer, endStream: boolean): 'collect' | undefined {
    if (!this.handling) return undefined;
    // Nobody reads it.
    this.stream.takeHeldRequestBody();
    if (endStream) this.answer();
    return 'collect';
  }

  onRequestTrailers(): HeadersVerdict {
    if (!this.handling) return;
    this.answer();
    return 'pause';
  }

  onResponseHeaders(headers: ResponseHeaders): void {
    const { cache, clusterName, drain } = this.shared;
    if (this.isHealthCheck) {
      cache?.set({ status: headers.status, degraded: headers.hasKnown(ID_DEGRADED) });
      headers.set('x-envoy-upstream-healthchecked-cluster', clusterName);
    } else if (drain.healthCheckFailed) headers.setKnown(ID_IMMEDIATE_FAIL, 'true');
  }

  private answer(): void {
    const { stats } = this.shared;
    const { status, details, stat, degraded = false } = this.verdict();
    if (stat !== undefined) stats[stat].inc();
    const well = status >= 200 && status < 300;
    if (well) stats.ok.inc();
    else {
      stats.failed.inc();
      this.stream.info.setResponseFlag(ResponseFlag.FailedLocalHealthCheck);
    }
    if (!degraded) {
      this.stream.reply({ status, details });
      return;
    }
    stats.degraded.inc();
    this.stream.reply({ status, details, modifyHeaders: (headers) => headers.setKnown(ID_DEGRADED, '') });
  }

  private verdict(): Verdict {
    const { options, cache, stats, drain, clusters } = this.shared;
    if (drain.healthCheckFailed) return FAILED;
    if (cache === undefined) return judgeClusters(options.clusters, clusters);
    stats.cachedResponse.inc();
    // The period may have ended while the request's body came.
    return { ...(cache.latest ?? { status: 200 }), details: 'health_check_cached' };
  }
}
