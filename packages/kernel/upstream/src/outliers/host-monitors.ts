import type { HostEvent, Runtime } from '@dragoman/core';
import type { ClusterSettings } from '../config/cluster-settings.ts';
import type { UpstreamHost } from '../hosts/host.ts';
import { HealthReporter, type MonitorScene, SharedHostMonitor } from './shared-host-monitor.ts';

export type OnHostEvent = (clusterName: string, identity: string, event: HostEvent) => void;

/** Gives the hosts of one cluster, on a worker, what hears of their tries. */
export class HostMonitors {
  private readonly settings: ClusterSettings;
  private readonly runtime: Runtime;
  private readonly tell: OnHostEvent;
  private scene: MonitorScene | undefined = undefined;
  private buffer: SharedArrayBuffer | undefined = undefined;

  /** Undefined where nobody wants to know. */
  static of(settings: ClusterSettings, runtime: Runtime, tell: OnHostEvent): HostMonitors | undefined {
    return settings.outliers === undefined && !settings.healthChecked
      ? undefined
      : new HostMonitors(settings, runtime, tell);
  }

  private constructor(settings: ClusterSettings, runtime: Runtime, tell: OnHostEvent) {
    this.settings = settings;
    this.runtime = runtime;
    this.tell = tell;
  }

  /** @param outcomes of the list that the hosts are from */
  watch(hosts: readonly UpstreamHost[], outcomes: SharedArrayBuffer | undefined): void {
    const scene = this.sceneFor(outcomes);
    for (const host of hosts) {
      const row = scene === undefined ? undefined : host.data?.outcomeRow;
      if (host.monitor !== undefined && host.monitorRow === row) continue;
      const report = (event: HostEvent): void => this.tell(this.settings.name, host.identity, event);
      host.monitorRow = row;
      host.monitor =
        scene === undefined || row === undefined
          ? new HealthReporter(report)
          : new SharedHostMonitor(scene, row, report);
    }
  }

  private sceneFor(outcomes: SharedArrayBuffer | undefined): MonitorScene | undefined {
    const { outliers: settings } = this.settings;
    if (outcomes === undefined || settings === undefined) return undefined;
    if (this.scene === undefined)
      this.scene = { settings, runtime: this.runtime, counts: new Int32Array(outcomes) };
    else if (this.buffer !== outcomes) this.scene.counts = new Int32Array(outcomes);
    this.buffer = outcomes;
    return this.scene;
  }
}
