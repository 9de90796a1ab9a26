import {
  create,
  HealthCheckerType,
  type HealthCheckEvent,
  HealthCheckEventSchema,
  HealthCheckFailureType,
  type MessageInitShape,
  timestampFromMs,
  toJson,
  addressMessage,
} from '@dragoman/api';
import type { Clock, HostDescription } from '@dragoman/core';
import type { FailureType, HostCheck } from './host-check.ts';

type EventInit = NonNullable<MessageInitShape<typeof HealthCheckEventSchema>['event']>;

/** Writes one line of JSON for each event of the hosts of a cluster: `envoy.data.core.v3.HealthCheckEvent`. */
export class HealthCheckEvents {
  private readonly clusterName: string;
  private readonly type: HealthCheckerType;
  private readonly clock: Clock;
  private readonly hostOf: (check: HostCheck) => HostDescription;
  private readonly write: (line: string) => void;

  constructor(options: {
    readonly clusterName: string;
    /** Name of the checker, e.g. `envoy.health_checkers.http`. */
    readonly checker: string;
    readonly clock: Clock;
    hostOf(check: HostCheck): HostDescription;
    write(line: string): void;
  }) {
    this.clusterName = options.clusterName;
    this.type = typeOf(options.checker);
    this.clock = options.clock;
    this.hostOf = options.hostOf;
    this.write = options.write;
  }

  addHealthy(check: HostCheck, firstCheck: boolean): void {
    this.log(check, { case: 'addHealthyEvent', value: { firstCheck } });
  }

  ejectUnhealthy(check: HostCheck, type: FailureType): void {
    this.log(check, { case: 'ejectUnhealthyEvent', value: { failureType: HealthCheckFailureType[type] } });
  }

  failure(check: HostCheck, type: FailureType, firstCheck: boolean): void {
    const failureType = HealthCheckFailureType[type];
    this.log(check, { case: 'healthCheckFailureEvent', value: { failureType, firstCheck } });
  }

  successful(check: HostCheck): void {
    this.log(check, { case: 'successfulHealthCheckEvent', value: {} });
  }

  degraded(check: HostCheck): void {
    this.log(check, { case: 'degradedHealthyHost', value: {} });
  }

  noLongerDegraded(check: HostCheck): void {
    this.log(check, { case: 'noLongerDegradedHost', value: {} });
  }

  private log(check: HostCheck, event: EventInit): void {
    const host = this.hostOf(check);
    const message: HealthCheckEvent = create(HealthCheckEventSchema, {
      healthCheckerType: this.type,
      host: addressMessage(host.address),
      clusterName: this.clusterName,
      event,
      timestamp: timestampFromMs(this.clock.wallTime()),
      locality: host.locality,
    });
    this.write(
      `${JSON.stringify(toJson(HealthCheckEventSchema, message, { useProtoFieldName: true, alwaysEmitImplicit: true }))}\n`,
    );
  }
}

function typeOf(checker: string): HealthCheckerType {
  const name = checker.slice(checker.lastIndexOf('.') + 1).toUpperCase() as keyof typeof HealthCheckerType;
  return (HealthCheckerType[name] as HealthCheckerType | undefined) ?? HealthCheckerType.HTTP;
}
