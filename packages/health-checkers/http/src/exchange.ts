import {
  type Counter,
  type FractionalPercent,
  type HealthCheckerContext,
  type HealthCheckResult,
  type RequestEncoder,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import {
  type CheckRequest,
  DEGRADED,
  HEALTHY,
  type HttpExchange,
  PayloadScan,
  unhealthy,
} from '@dragoman/health-checking';
import type { HttpCheckOptions } from './config.ts';

const ID_CONNECTION = wellKnownId('connection');
const ID_PROXY_CONNECTION = wellKnownId('proxy-connection');
const ID_DEGRADED = wellKnownId('x-envoy-degraded');
const ID_IMMEDIATE_FAIL = wellKnownId('x-envoy-immediate-health-check-fail');
const SERVICE_NAME = 'x-envoy-upstream-healthchecked-cluster';
const ALWAYS: FractionalPercent = { numerator: 100, denominator: 100 };

/** Sends a check's request, and judges the answer when all of it has come. */
export class HttpCheckExchange implements HttpExchange {
  lastOnConnection = false;
  private readonly options: HttpCheckOptions;
  private readonly request: CheckRequest;
  private readonly context: HealthCheckerContext;
  private readonly verifyCluster: Counter;
  private readonly scan: PayloadScan | undefined;
  private headers: ResponseHeaders | undefined;
  /** Bytes of the body that are still looked at. */
  private left = 0;

  constructor(
    options: HttpCheckOptions,
    request: CheckRequest,
    context: HealthCheckerContext,
    verifyCluster: Counter,
  ) {
    this.options = options;
    this.request = request;
    this.context = context;
    this.verifyCluster = verifyCluster;
    this.scan = options.receive.length === 0 ? undefined : new PayloadScan(options.receive);
  }

  begin(encoder: RequestEncoder): void {
    const { payload, receiveLimit } = this.options;
    this.headers = undefined;
    this.lastOnConnection = false;
    this.left = receiveLimit;
    this.scan?.reset();
    encoder.headers(this.request.next(), payload === undefined);
    if (payload !== undefined) encoder.body(payload, true, true);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): HealthCheckResult | undefined {
    this.headers = headers;
    this.lastOnConnection = this.options.protocol === 'http1' && asksToClose(headers);
    return endStream ? this.judge() : undefined;
  }

  onBody(chunk: Buffer, endStream: boolean): HealthCheckResult | undefined {
    const { scan, left } = this;
    if (scan !== undefined && left > 0) {
      scan.push(chunk.length <= left ? chunk : chunk.subarray(0, left));
      this.left = Math.max(0, left - chunk.length);
    }
    return endStream ? this.judge() : undefined;
  }

  onTrailers(_trailers: Trailers): HealthCheckResult {
    return this.judge();
  }

  private judge(): HealthCheckResult {
    const headers = this.headers as ResponseHeaders;
    this.headers = undefined;
    const { status } = headers;
    const { expected, retriable } = this.options;
    const immediate = headers.hasKnown(ID_IMMEDIATE_FAIL);
    if (this.scan?.matched === false) return unhealthy(`payload mismatch (status ${status})`, { immediate });
    if (!expected(status)) return unhealthy(`status ${status}`, { immediate, retriable: retriable(status) });
    return this.judgeService(headers) ?? (headers.hasKnown(ID_DEGRADED) ? DEGRADED : HEALTHY);
  }

  private judgeService(headers: ResponseHeaders): HealthCheckResult | undefined {
    const { serviceName } = this.options;
    const { runtime, random } = this.context;
    if (serviceName === undefined) return undefined;
    if (!runtime.featureEnabled('health_check.verify_cluster', ALWAYS, random.next())) return undefined;
    this.verifyCluster.inc();
    const name = headers.get(SERVICE_NAME) ?? '';
    return serviceName(name) ? undefined : unhealthy(`service name mismatch: "${name}"`);
  }
}

function asksToClose(headers: ResponseHeaders): boolean {
  return (
    hasClose(headers, ID_CONNECTION, 'connection') ||
    hasClose(headers, ID_PROXY_CONNECTION, 'proxy-connection')
  );
}

function hasClose(headers: ResponseHeaders, id: number, name: string): boolean {
  if (!headers.hasKnown(id)) return false;
  const tokens = (headers.getJoined(name) ?? '').split(',');
  return tokens.some((token) => token.trim().toLowerCase() === 'close');
}
