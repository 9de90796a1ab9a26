import {
  create,
  type MessageInitShape,
  OutlierDetectionEventSchema,
  OutlierEjectionType,
  timestampFromMs,
  toJson,
} from '@dragoman/api';
import type { Clock } from '@dragoman/core';
import type { EjectionType } from './outlier-stats.ts';
import type { WatchedHost } from './watched-host.ts';

type EventInit = MessageInitShape<typeof OutlierDetectionEventSchema>;

/** The figures behind an ejection by success rate. */
export interface RateFigures {
  readonly average: number;
  readonly threshold: number;
}

/** Writes one line of JSON for each ejection and return: `envoy.data.cluster.v3.OutlierDetectionEvent`. */
export class OutlierLog {
  private readonly clusterName: string;
  private readonly clock: Clock;
  private readonly write: (line: string) => void;

  constructor(clusterName: string, clock: Clock, write: (line: string) => void) {
    this.clusterName = clusterName;
    this.clock = clock;
    this.write = write;
  }

  eject(host: WatchedHost, type: EjectionType, enforced: boolean, figures: RateFigures): void {
    this.log(host, host.returnedAt, {
      type: OutlierEjectionType[type],
      action: 0,
      enforced,
      event: eventOf(host, type, figures),
    });
  }

  /** The event is empty: nothing in particular brought the host back. */
  return(host: WatchedHost): void {
    this.log(host, host.ejectedAt, { action: 1 });
  }

  private log(host: WatchedHost, since: number | undefined, init: EventInit): void {
    const event = create(OutlierDetectionEventSchema, {
      ...init,
      timestamp: timestampFromMs(this.clock.wallTime()),
      secsSinceLastAction:
        since === undefined ? undefined : BigInt(Math.floor((this.clock.now() - since) / 1000)),
      clusterName: this.clusterName,
      upstreamUrl: host.address,
      numEjections: host.ejections,
    });
    const json = toJson(OutlierDetectionEventSchema, event, {
      useProtoFieldName: true,
      alwaysEmitImplicit: true,
    });
    this.write(`${JSON.stringify(json)}\n`);
  }
}

function eventOf(
  host: WatchedHost,
  type: EjectionType,
  { average, threshold }: RateFigures,
): EventInit['event'] {
  const local = type.endsWith('LOCAL_ORIGIN');
  const hostSuccessRate = Math.round(local ? host.localSuccessRate : host.successRate);
  if (type.startsWith('SUCCESS_RATE'))
    return {
      case: 'ejectSuccessRateEvent',
      value: {
        hostSuccessRate,
        clusterAverageSuccessRate: Math.round(average),
        clusterSuccessRateEjectionThreshold: Math.max(0, Math.round(threshold)),
      },
    };
  if (type.startsWith('FAILURE_PERCENTAGE'))
    return { case: 'ejectFailurePercentageEvent', value: { hostSuccessRate } };
  return { case: 'ejectConsecutiveEvent', value: {} };
}
