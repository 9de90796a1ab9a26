import {
  Address,
  atPath,
  type EndpointData,
  type HealthChecker,
  type HealthCheckTarget,
  HealthFlag,
  type HostListUpdate,
  type Locality,
  type MainContext,
  type StatsScope,
  type Timer,
} from '@dragoman/core';
import { UpstreamHost } from '../hosts/host.ts';
import { identityOf } from '../hosts/identity.ts';
import { type CheckConnections, checkerContext } from './check-connections.ts';
import { HealthCheckEvents } from './event-log.ts';
import type { HealthSettings } from './health-settings.ts';
import { HealthStats } from './health-stats.ts';
import { HostCheck, type HostCheckOwner, type Transition } from './host-check.ts';

export interface HealthMonitorOptions {
  readonly clusterName: string;
  readonly settings: HealthSettings;
  readonly context: MainContext;
  /** `cluster.<name>` */
  readonly clusterScope: StatsScope;
  readonly connections: CheckConnections;
  /** New hosts are left out of account until they have been checked (`ignore_new_hosts_until_first_hc`). */
  readonly ignoreNewHosts: boolean;
  /** Whether the cluster has ever had traffic: without, checks are rare. */
  hasTraffic(): boolean;
  /** What is known of hosts has changed. */
  onChange(): void;
  /** A host has passed a check, and counts as healthy. */
  onHealthy(identity: string): void;
  writeEvent(path: string, line: string): void;
}

/** Checks every host of a cluster, again and again. Hosts are told apart by their identity. */
export class HealthMonitor implements HostCheckOwner {
  readonly settings: HealthSettings;
  readonly stats: HealthStats;
  readonly events: HealthCheckEvents | undefined;
  private readonly options: HealthMonitorOptions;
  private readonly checker: HealthChecker;
  private readonly checks = new Map<string, WatchedHost>();
  private readonly connections: CheckConnections;
  private waiting = 0;
  private onAllChecked: (() => void) | undefined = undefined;

  /** @throws ConfigError with paths below `health_checks[0]` of the cluster */
  constructor(options: HealthMonitorOptions) {
    const { settings, clusterName, context, clusterScope, connections } = options;
    const scope = clusterScope.scope('health_check');
    this.options = options;
    this.settings = settings;
    this.connections = connections;
    this.stats = new HealthStats(scope);
    this.checker = atPath(`health_checks[0].${settings.checkerPath}`, () =>
      settings.checker.create(
        settings.checkerConfig as never,
        checkerContext({ clusterName, scope, context, settings, connections }),
      ),
    );
    this.events =
      settings.eventLogs.length === 0
        ? undefined
        : new HealthCheckEvents({
            clusterName,
            checker: settings.checker.name,
            clock: context.clock,
            hostOf: (check) => (check as WatchedHost).host,
            write: (line) => {
              for (const path of settings.eventLogs) options.writeEvent(path, line);
            },
          });
  }

  /** Takes the hosts that are to be checked from now on. @returns what begins the checks of those that are new */
  update({ localities }: HostListUpdate): () => void {
    const seen = new Set<string>();
    const fresh: WatchedHost[] = [];
    /** First results that will not come any more. */
    let lost = 0;
    for (const { endpoints, locality, priority } of localities)
      for (const endpoint of endpoints) {
        if (endpoint.noHealthCheck === true) continue;
        const identity = identityOf(endpoint);
        if (seen.has(identity)) continue;
        seen.add(identity);
        const known = this.checks.get(identity);
        if (known !== undefined && sameTarget(known.endpoint, endpoint)) continue;
        known?.close();
        this.checks.delete(identity);
        const check = this.watch(endpoint, locality, priority, known?.flags);
        if (check !== undefined) fresh.push(check);
        // Whoever waits for first results waits for the new check now.
        if (known?.checked === false) lost++;
      }
    for (const [identity, check] of this.checks)
      if (!seen.has(identity)) {
        check.close();
        this.checks.delete(identity);
        if (!check.checked) lost++;
      }
    return () => {
      for (; lost > 0; lost--) this.onFirstResult();
      for (const check of fresh) check.start();
    };
  }

  /** What checks know of a host; 0 for one that is not checked. */
  flagsOf(identity: string): number {
    return this.checks.get(identity)?.flags ?? 0;
  }

  /** Whether a host is checked, and its checks find nothing wrong. */
  passes(identity: string): boolean {
    const check = this.checks.get(identity);
    return check !== undefined && (check.flags & HealthFlag.failed_active_hc) === 0;
  }

  /** A worker saw that a host wants no more traffic. */
  failPassively(identity: string): void {
    this.checks.get(identity)?.failPassively();
  }

  /** Calls once every host there is by now has been checked once. */
  whenChecked(callback: () => void): void {
    if (this.waiting === 0) callback();
    else this.onAllChecked = callback;
  }

  close(): void {
    for (const check of this.checks.values()) check.close();
    this.checks.clear();
    this.onAllChecked = undefined;
    this.connections.close();
  }

  // --- What the checks of hosts ask ---------------------------------------------------------------------------------

  timer(callback: () => void): Timer {
    return this.options.context.clock.timer(callback);
  }

  firstIn(): number {
    const { initialJitterMs } = this.settings;
    return initialJitterMs === 0 ? 0 : this.jittered(0, initialJitterMs);
  }

  nextIn(healthy: boolean, transition: Transition): number {
    return this.jittered(
      this.baseInterval(healthy, transition === 'pending'),
      this.settings.intervalJitterMs,
    );
  }

  onChange(): void {
    this.options.onChange();
  }

  onHealthy(check: HostCheck): void {
    const { endpoint } = check as WatchedHost;
    this.options.onHealthy(identityOf(endpoint));
  }

  onFirstResult(): void {
    if (--this.waiting > 0) return;
    const callback = this.onAllChecked;
    this.onAllChecked = undefined;
    callback?.();
  }

  private baseInterval(healthy: boolean, pending: boolean): number {
    const { settings } = this;
    if (!this.options.hasTraffic())
      return healthy && !pending ? settings.noTrafficHealthyIntervalMs : settings.noTrafficIntervalMs;
    if (healthy) return pending ? settings.healthyEdgeIntervalMs : settings.intervalMs;
    return pending ? settings.unhealthyEdgeIntervalMs : settings.unhealthyIntervalMs;
  }

  private jittered(baseMs: number, jitterMs: number): number {
    const { random, runtime } = this.options.context;
    const percentMs = Math.floor((this.settings.intervalJitterPercent * baseMs) / 100);
    let ms = baseMs;
    if (percentMs > 0) ms += random.next() % percentMs;
    if (jitterMs >= 1) ms += random.next() % Math.floor(jitterMs);
    const most = runtime.getInteger('health_check.max_interval', MAX_INTERVAL_MS);
    return Math.max(1, runtime.getInteger('health_check.min_interval', 0), Math.min(ms, most));
  }

  private watch(
    endpoint: EndpointData,
    locality: Locality,
    priority: number,
    flags: number | undefined,
  ): WatchedHost | undefined {
    const { clusterName, ignoreNewHosts } = this.options;
    const target = targetOf(endpoint, locality, priority, clusterName, this.settings.altPort);
    // Workers leave such an endpoint out, and say so.
    if (target === undefined) return undefined;
    const pending = ignoreNewHosts ? HealthFlag.pending_active_hc : 0;
    const check = new WatchedHost(
      this,
      flags ?? HealthFlag.failed_active_hc | pending,
      endpoint,
      this.checker,
      target,
    );
    this.checks.set(identityOf(endpoint), check);
    this.waiting++;
    return check;
  }
}

/** Timers reach no further. */
const MAX_INTERVAL_MS = 2 ** 31 - 1;

/** The checks of one host, with what is known of it. */
class WatchedHost extends HostCheck {
  readonly endpoint: EndpointData;
  readonly host: HealthCheckTarget['host'];

  constructor(
    owner: HostCheckOwner,
    flags: number,
    endpoint: EndpointData,
    checker: HealthChecker,
    target: HealthCheckTarget,
  ) {
    super(owner, flags, checker.session(target));
    this.endpoint = endpoint;
    this.host = target.host;
  }
}

/** Whether a session for one is as good for the other. */
function sameTarget(one: EndpointData, other: EndpointData): boolean {
  return (
    one.address === other.address &&
    one.hostname === other.hostname &&
    one.healthCheckAddress === other.healthCheckAddress &&
    one.healthCheckHostname === other.healthCheckHostname &&
    // Transport sockets are chosen by it.
    one.metadata === other.metadata
  );
}

function targetOf(
  endpoint: EndpointData,
  locality: Locality,
  priority: number,
  clusterName: string,
  altPort: number | undefined,
): HealthCheckTarget | undefined {
  const own = Address.parse(endpoint.address);
  const asked = Address.parse(endpoint.healthCheckAddress ?? endpoint.address);
  if (own === undefined || asked === undefined) return undefined;
  const host = new UpstreamHost(clusterName, endpoint.address, 0);
  host.update(endpoint, locality, priority, 0);
  const onAltPort =
    altPort !== undefined && endpoint.healthCheckAddress === undefined && own.family !== 'pipe';
  return {
    host,
    address: onAltPort ? Address.ip(own.ip, altPort) : asked,
    hostname: endpoint.healthCheckHostname ?? '',
  };
}
