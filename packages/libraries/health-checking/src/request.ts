import {
  type HealthCheckerContext,
  type HealthCheckTarget,
  type LogContext,
  ownConnection,
  type Protocol,
  type RequestHeaders,
  StreamInfo,
} from '@dragoman/core';
import type { HeaderMutation } from '@dragoman/header-edits';
import { utf8Bytes } from '@dragoman/matching';

/** Envoy's `user-agent` of health checks. */
export const USER_AGENT = 'Envoy/HC';

/** The authority of checks, as bytes: `health_check_config.hostname` of the host, else what the checker is configured with, else the cluster's name. */
export function checkedAuthority(target: HealthCheckTarget, configured: string, clusterName: string): string {
  return utf8Bytes(target.hostname || configured || clusterName);
}

/** What the requests of one session are made from. */
export interface CheckRequestParts {
  /** What every request begins with. */
  readonly base: RequestHeaders;
  readonly mutation: HeaderMutation | undefined;
  readonly protocol: Protocol;
  /** What is set last, over whatever the config has added. */
  readonly finish?: (headers: RequestHeaders) => void;
}

/** The request of a session's checks. Built once, unless values of the config depend on the moment. */
export class CheckRequest {
  private readonly parts: CheckRequestParts;
  private readonly context: HealthCheckerContext;
  private readonly target: HealthCheckTarget;
  private readonly fixed: RequestHeaders | undefined;

  constructor(parts: CheckRequestParts, context: HealthCheckerContext, target: HealthCheckTarget) {
    this.parts = parts;
    this.context = context;
    this.target = target;
    this.fixed = parts.mutation?.dynamic === true ? undefined : this.build(undefined);
  }

  /** The headers of the next check, the receiver's own. */
  next(): RequestHeaders {
    return this.fixed?.clone() ?? this.build(this.logContext());
  }

  private build(context: LogContext | undefined): RequestHeaders {
    const { base, mutation, finish } = this.parts;
    const headers = base.clone();
    mutation?.apply(headers, context);
    finish?.(headers);
    return headers;
  }

  /** What formats of added headers see: no client, no request, the host that is checked. */
  private logContext(): LogContext {
    const { clock } = this.context;
    const info = new StreamInfo(NO_CLIENT, clock.wallTime(), clock.now());
    info.protocol = this.parts.protocol;
    info.upstreamHost = this.target.host;
    return { info, request: undefined, response: undefined, responseTrailers: undefined, type: 'NotSet' };
  }
}

/** Envoy puts loopback addresses where a client's would be. */
const NO_CLIENT = ownConnection('', 0);
