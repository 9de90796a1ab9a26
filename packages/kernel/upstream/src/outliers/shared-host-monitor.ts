import type { HostEvent, HostMonitor, HostResult, Runtime } from '@dragoman/core';
import type { OutlierSettings } from './outlier-settings.ts';
import { OUTCOME, ROW } from './outcomes.ts';

/** What the monitors of one cluster on one worker share. */
export interface MonitorScene {
  readonly settings: OutlierSettings;
  readonly runtime: Runtime;
  /** Of `Outcomes`. Each list of hosts brings another view of the same memory, or of another. */
  counts: Int32Array;
}

/** A host without outlier detection, whose answers may still say that it wants no more traffic. */
export class HealthReporter implements HostMonitor {
  protected readonly report: (event: HostEvent) => void;

  constructor(report: (event: HostEvent) => void) {
    this.report = report;
  }

  onStatus(_status: number): void {}

  onResult(_result: HostResult, _status?: number): void {}

  onImmediateFail(): void {
    this.report('immediate-fail');
  }
}

/** The status that stands for a result where local errors are not told apart; Envoy's. */
const STATUS_OF: Record<HostResult, number> = {
  succeeded: 200,
  'connected-final': 200,
  timeout: 504,
  'connect-failed': 503,
  failed: 500,
  /** What runs over the connection says how it went. */
  connected: 0,
};

/** Counts the outcomes at one host, together with the other workers. */
export class SharedHostMonitor extends HealthReporter {
  private readonly scene: MonitorScene;
  private readonly base: number;

  constructor(scene: MonitorScene, row: number, report: (event: HostEvent) => void) {
    super(report);
    this.scene = scene;
    this.base = row * ROW;
  }

  override onStatus(status: number): void {
    this.add(OUTCOME.externalTotal);
    if (status < 500 || status > 599) {
      this.add(OUTCOME.externalSuccess);
      this.clear(OUTCOME.consecutive5xx);
      this.clear(OUTCOME.consecutiveGatewayFailure);
      return;
    }
    const { settings, runtime } = this.scene;
    if (status >= 502 && status <= 504) {
      const limit = runtime.getInteger(
        'outlier_detection.consecutive_gateway_failure',
        settings.consecutiveGatewayFailure,
      );
      if (this.add(OUTCOME.consecutiveGatewayFailure) === limit) this.report('consecutive-gateway-failure');
    } else this.clear(OUTCOME.consecutiveGatewayFailure);
    const limit = runtime.getInteger('outlier_detection.consecutive_5xx', settings.consecutive5xx);
    if (this.add(OUTCOME.consecutive5xx) === limit) this.report('consecutive-5xx');
  }

  override onResult(result: HostResult, status?: number): void {
    if (!this.scene.settings.splitErrors) {
      const code = status ?? STATUS_OF[result];
      if (code !== 0) this.onStatus(code);
      return;
    }
    if (result === 'failed') this.onStatus(503);
    else if (result === 'succeeded') {
      this.onStatus(200);
      this.localSuccess();
    } else if (result === 'connected' || result === 'connected-final') this.localSuccess();
    else this.localFailure();
  }

  private localSuccess(): void {
    this.add(OUTCOME.localTotal);
    this.add(OUTCOME.localSuccess);
    this.clear(OUTCOME.consecutiveLocalOriginFailure);
  }

  private localFailure(): void {
    const { settings, runtime } = this.scene;
    this.add(OUTCOME.localTotal);
    const limit = runtime.getInteger(
      'outlier_detection.consecutive_local_origin_failure',
      settings.consecutiveLocalOriginFailure,
    );
    if (this.add(OUTCOME.consecutiveLocalOriginFailure) === limit)
      this.report('consecutive-local-origin-failure');
  }

  /** @returns the count with this one */
  private add(place: number): number {
    return Atomics.add(this.scene.counts, this.base + place, 1) + 1;
  }

  private clear(place: number): void {
    // Reading is cheaper than writing to what others read.
    const { counts } = this.scene;
    if (Atomics.load(counts, this.base + place) !== 0) Atomics.store(counts, this.base + place, 0);
  }
}
