import type { Cluster } from '@dragoman/api';
import { durationMs } from '@dragoman/api';
import {
  atPath,
  type EndpointData,
  type ExtensionRegistry,
  type HostEvent,
  type HostListUpdate,
  type LocalityEndpoints,
  type MainContext,
  ProblemCollector,
  type StatsScope,
} from '@dragoman/core';
import { DEFAULT_BUFFER_LIMIT } from '../config/cluster-settings.ts';
import { readHttpOptions } from '../config/http-options.ts';
import { readTransportSockets } from '../config/transport-sockets.ts';
import { identityOf } from '../hosts/identity.ts';
import { sameLocality } from '../hosts/local-zone.ts';
import { OutlierDetector } from '../outliers/outlier-detector.ts';
import { OutlierLog } from '../outliers/outlier-log.ts';
import { readOutlierDetection } from '../outliers/outlier-settings.ts';
import { CheckConnections, type HealthConnector } from './check-connections.ts';
import { CheckedHosts, Stabilizer } from './checked-hosts.ts';
import { HealthMonitor, type HealthMonitorOptions } from './health-monitor.ts';
import { type HealthSettings, readHealthCheck } from './health-settings.ts';
import { type MergeStats, UpdateMerger } from './update-merger.ts';

const DEFAULT_MERGE_WINDOW_MS = 1_000;

/** What health checks need of the process. */
export interface HealthDependencies extends HealthConnector {
  /** Whether any worker has ever connected to a host of the cluster. */
  hasTraffic(statName: string): boolean;
  /** Appends a line to a file. */
  writeEvent(path: string, line: string): void;
}

export interface HostPipelineOptions {
  readonly cluster: Cluster;
  readonly registry: ExtensionRegistry;
  readonly context: MainContext;
  /** `cluster.<name>` */
  readonly clusterScope: StatsScope;
  /** Undefined: clusters with health checks are refused. */
  readonly health: HealthDependencies | undefined;
  readonly mergeStats: MergeStats;
  /** `cluster_manager.outlier_detection.event_log_path`; empty: none. */
  readonly ejectionLog: string;
  /** Gets the lists that workers are to have. */
  onHosts(update: HostListUpdate): void;
}

/** From what a source lists to what workers get: with the results of health checks, not too often. */
export class HostPipeline {
  private readonly options: HostPipelineOptions;
  private readonly checked: CheckedHosts;
  private readonly stabilizer: Stabilizer | undefined;
  private readonly monitor: HealthMonitor | undefined;
  private readonly detector: OutlierDetector | undefined;
  private readonly merger: UpdateMerger;
  private listed: HostListUpdate | undefined = undefined;

  /** @throws ConfigError with paths relative to the cluster */
  constructor(options: HostPipelineOptions) {
    const { cluster, context, mergeStats } = options;
    this.options = options;
    this.monitor = createMonitor(options, {
      onChange: () => this.onChecked(),
      onHealthy: (identity) => this.detector?.onHealthy(identity),
    });
    this.detector = createDetector(options, () => this.onChecked());
    const { monitor, detector } = this;
    this.checked = new CheckedHosts({
      flagsOf: (identity) => (monitor?.flagsOf(identity) ?? 0) | (detector?.flagsOf(identity) ?? 0),
      rowOf: (identity) => detector?.rowOf(identity),
    });
    this.stabilizer =
      monitor === undefined || cluster.ignoreHealthOnHostRemoval
        ? undefined
        : new Stabilizer(
            (endpoint) => endpoint.health !== 'unhealthy' && monitor.passes(identityOf(endpoint)),
          );
    const windowMs = durationMs(cluster.commonLbConfig?.updateMergeWindow) ?? DEFAULT_MERGE_WINDOW_MS;
    this.merger = new UpdateMerger(windowMs, context.clock, mergeStats, () => this.deliver());
  }

  /** Takes a list of the source. */
  update(update: HostListUpdate): void {
    const whole = this.stabilizer?.update(update) ?? update;
    // Known before the list is delivered: new hosts begin as failed.
    const begin = this.monitor?.update(whole);
    this.detector?.update(whole);
    this.take(whole);
    begin?.();
  }

  /** A worker saw something of a host. */
  onEvent(identity: string, event: HostEvent): void {
    if (event === 'immediate-fail') this.monitor?.failPassively(identity);
    else this.detector?.onEvent(identity, event);
  }

  /** Calls once all hosts there are have been checked; at once without health checks. */
  whenChecked(callback: () => void): void {
    if (this.monitor === undefined) callback();
    else this.monitor.whenChecked(callback);
  }

  stop(): void {
    this.merger.stop();
    this.monitor?.close();
    this.detector?.stop();
  }

  private onChecked(): void {
    const { listed, stabilizer } = this;
    if (listed === undefined) return;
    const whole = stabilizer?.whole() ?? listed;
    if (whole === listed) {
      // Only health has changed. With many hosts that is often: nothing is gone through before the list is delivered.
      this.merger.schedule(true);
      return;
    }
    // One that was kept for its health alone is gone.
    this.take(whole);
    this.monitor?.update(whole)();
    this.detector?.update(whole);
  }

  private take(whole: HostListUpdate): void {
    const { listed } = this;
    this.listed = whole;
    this.merger.schedule(listed !== undefined && sameMembers(listed, whole));
  }

  private deliver(): void {
    const { listed, detector, monitor } = this;
    if (listed === undefined) return;
    const known = monitor !== undefined || detector !== undefined;
    const list = known ? this.checked.apply(listed) : listed;
    const outcomes = detector?.outcomes.buffer;
    this.options.onHosts(outcomes === undefined ? list : { ...list, outcomes });
  }
}

function createDetector(
  { cluster, context, clusterScope, health, ejectionLog }: HostPipelineOptions,
  onChange: () => void,
): OutlierDetector | undefined {
  if (cluster.outlierDetection === undefined) return undefined;
  const config = cluster.outlierDetection;
  const settings = atPath('outlier_detection', () => readOutlierDetection(config));
  const write = (line: string): void => {
    if (ejectionLog !== '') health?.writeEvent(ejectionLog, line);
  };
  const log = ejectionLog === '' ? undefined : new OutlierLog(cluster.name, context.clock, write);
  return new OutlierDetector({ settings, context, clusterScope, log, onChange });
}

function createMonitor(
  options: HostPipelineOptions,
  callbacks: Pick<HealthMonitorOptions, 'onChange' | 'onHealthy'>,
): HealthMonitor | undefined {
  const { cluster, registry, context, clusterScope, health } = options;
  const settings = readHealthCheck(cluster, registry);
  if (settings === undefined || health === undefined) return undefined;
  return new HealthMonitor({
    clusterName: cluster.name,
    settings,
    context,
    clusterScope,
    connections: checkConnections(options, settings, health),
    ignoreNewHosts: cluster.commonLbConfig?.ignoreNewHostsUntilFirstHc ?? false,
    hasTraffic: () => health.hasTraffic(cluster.altStatName || cluster.name),
    ...callbacks,
    writeEvent: (path, line) => health.writeEvent(path, line),
  });
}

function checkConnections(
  { cluster, registry, context }: HostPipelineOptions,
  settings: HealthSettings,
  health: HealthDependencies,
): CheckConnections {
  const problems = new ProblemCollector();
  const http = readHttpOptions(cluster, problems, registry, context);
  problems.throwIfAny();
  return new CheckConnections({
    ...health,
    sockets: readTransportSockets(cluster, registry, context),
    settings,
    bufferLimitBytes: cluster.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT,
    http,
  });
}

/** One that moves is no longer the same: nobody should go on connecting to where it was. */
function sameMember(one: EndpointData, other: EndpointData): boolean {
  return identityOf(one) === identityOf(other) && one.address === other.address;
}

/** Whether both list the same hosts, in the same order and priorities: another order is taken for a change of members. */
function sameMembers(one: HostListUpdate, other: HostListUpdate): boolean {
  return (
    one.localities.length === other.localities.length &&
    one.localities.every((group, i) => sameGroup(group, other.localities[i]))
  );
}

function sameGroup(one: LocalityEndpoints, other: LocalityEndpoints): boolean {
  return (
    one === other ||
    (one.priority === other.priority &&
      one.endpoints.length === other.endpoints.length &&
      sameLocality(one.locality, other.locality) &&
      one.endpoints.every((endpoint, i) => sameMember(endpoint, other.endpoints[i])))
  );
}
