import {
  type Counter,
  type Histogram,
  type RequestHeaders,
  type StatsScope,
  wellKnownId,
} from '@dragoman/core';

const ID_USER_AGENT = wellKnownId('user-agent');

/** `user_agent.<device>.*` of a connection manager. */
export interface DeviceStats {
  readonly cxTotal: Counter;
  readonly cxDestroyRemoteActiveRq: Counter;
  readonly cxLengthMs: Histogram;
  readonly rqTotal: Counter;
}

/**
 * What Envoy counts of two kinds of devices apart. The stats of a device come with its first request: most
 * proxies never see one.
 */
export class UserAgentStats {
  private readonly scope: StatsScope;
  private ios: DeviceStats | undefined = undefined;
  private android: DeviceStats | undefined = undefined;

  /** @param scope `http.<stat_prefix>` */
  constructor(scope: StatsScope) {
    this.scope = scope;
  }

  /** The device that a connection's first request speaks of; undefined for any other. Envoy's words, in this case. */
  of(headers: RequestHeaders): DeviceStats | undefined {
    const agent = headers.getKnown(ID_USER_AGENT);
    if (agent === undefined) return undefined;
    if (agent.includes('iOS')) {
      this.ios ??= createDeviceStats(this.scope, 'ios');
      return this.ios;
    }
    if (!agent.includes('android')) return undefined;
    this.android ??= createDeviceStats(this.scope, 'android');
    return this.android;
  }
}

function createDeviceStats(scope: StatsScope, device: string): DeviceStats {
  const own = scope.scope(`user_agent.${device}`);
  return {
    cxTotal: own.counter('downstream_cx_total'),
    cxDestroyRemoteActiveRq: own.counter('downstream_cx_destroy_remote_active_rq'),
    cxLengthMs: own.histogram('downstream_cx_length_ms', 'milliseconds'),
    rqTotal: own.counter('downstream_rq_total'),
  };
}
