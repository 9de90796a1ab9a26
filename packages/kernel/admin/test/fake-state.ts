import {
  anyPack,
  BootstrapConfigDumpSchema,
  ClusterSchema,
  ClustersConfigDumpSchema,
  create,
  DownstreamTlsContextSchema,
  type EndpointsConfigDump,
  EndpointsConfigDumpSchema,
  ListenerSchema,
  ListenersConfigDumpSchema,
  type Message,
  SecretSchema,
  SecretsConfigDumpSchema,
  ServerInfo_State,
} from '@dragoman/api';
import { Address, HealthFlag, type LogLevel } from '@dragoman/core';
import { StatsStore } from '@dragoman/stats';
import type { AdminHostStats, AdminState } from '../src/index.ts';

const HOST_STATS: AdminHostStats = {
  cxActive: 1,
  cxConnectFail: 2,
  cxTotal: 3,
  rqActive: 0,
  rqError: 4,
  rqSuccess: 5,
  rqTimeout: 6,
  rqTotal: 9,
};

const MAXIMA = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };

/** A server in memory that notes what it was told to do. */
export class FakeState implements AdminState {
  readonly done: unknown[] = [];
  readonly stats = new StatsStore();
  readonly levels = new Map<string, LogLevel>([
    ['admin', 'info'],
    ['http', 'debug'],
  ]);
  readonly runtime = new Map<string, string>();
  flushStatsOnAdmin = false;
  state: ServerInfo_State = ServerInfo_State.LIVE;
  profilePath = '/nonexistent/profile';
  failClusters = false;

  flushStats(): void {
    this.stats.flush();
  }

  serverInfo(): ReturnType<AdminState['serverInfo']> {
    return {
      version: 'abc/1.38.0/Clean/RELEASE/BoringSSL',
      state: this.state,
      hotRestartVersion: '11.104',
      uptimeCurrentEpoch: { seconds: 5n },
      uptimeAllEpochs: { seconds: 7n },
      node: { id: 'node', cluster: 'cluster' },
    };
  }

  memory() {
    return {
      total: { allocated: 1n, heapSize: 2n, totalPhysicalBytes: 3n },
      threads: [{ name: 'main_thread', allocated: 1, heapSize: 2 }],
    };
  }

  certificates() {
    return { certificates: [{ certChain: [{ path: 'cert.pem', serialNumber: '1f' }] }] };
  }

  unreadyTargets() {
    return { unreadyTargetsDumps: [{ name: 'init manager', targetNames: ['cluster a'] }] };
  }

  clusters() {
    if (this.failClusters) throw new Error('no clusters today');
    return [
      {
        name: 'a',
        observabilityName: 'obs',
        edsServiceName: '',
        addedViaApi: false,
        circuitBreakers: { default: MAXIMA, high: { ...MAXIMA, maxConnections: 1 } },
        hosts: [
          {
            address: Address.ip('127.0.0.1', 80),
            hostname: 'host.test',
            locality: { region: 'r', zone: 'z', subZone: '' },
            healthFlags: HealthFlag.failed_active_hc | HealthFlag.failed_eds_health,
            weight: 2,
            canary: false,
            priority: 1,
            stats: HOST_STATS,
          },
        ],
      },
      {
        name: 'b',
        observabilityName: 'b',
        edsServiceName: 'eds',
        addedViaApi: true,
        circuitBreakers: { default: MAXIMA, high: MAXIMA },
        outlier: {
          successRateAverage: 99.5,
          successRateEjectionThreshold: 90,
          localOriginSuccessRateAverage: -1,
          localOriginSuccessRateEjectionThreshold: -1,
        },
        hosts: [],
      },
    ];
  }

  listeners() {
    return [
      { name: 'main', addresses: [Address.ip('0.0.0.0', 10000), Address.ip('::1', 10001)] },
      { name: 'pipe', addresses: [Address.pipe('/run/x.sock')] },
    ];
  }

  configDumps(): Message[] {
    const cluster = (name: string) =>
      anyPack(ClusterSchema, create(ClusterSchema, { name, altStatName: `${name}-stat` }));
    const tls = create(DownstreamTlsContextSchema, {
      commonTlsContext: {
        tlsCertificates: [
          {
            certificateChain: { specifier: { case: 'inlineString', value: 'public' } },
            privateKey: { specifier: { case: 'inlineString', value: 'very secret' } },
          },
        ],
      },
    });
    const listener = create(ListenerSchema, {
      name: 'main',
      filterChains: [
        {
          transportSocket: {
            name: 'tls',
            configType: { case: 'typedConfig', value: anyPack(DownstreamTlsContextSchema, tls) },
          },
        },
      ],
    });
    const secret = create(SecretSchema, {
      name: 'certificate',
      type: {
        case: 'tlsCertificate',
        value: { password: { specifier: { case: 'inlineBytes', value: Buffer.from('very secret') } } },
      },
    });
    return [
      create(BootstrapConfigDumpSchema, { bootstrap: { node: { id: 'node' } } }),
      create(ClustersConfigDumpSchema, {
        versionInfo: '7',
        staticClusters: [{ cluster: cluster('a') }, { cluster: cluster('b') }],
      }),
      create(ListenersConfigDumpSchema, {
        staticListeners: [{ listener: anyPack(ListenerSchema, listener) }],
        dynamicListeners: [{ name: 'dynamic', activeState: { versionInfo: '1' } }],
      }),
      create(SecretsConfigDumpSchema, {
        staticSecrets: [{ name: 'certificate', secret: anyPack(SecretSchema, secret) }],
      }),
    ];
  }

  endpointsDump(): EndpointsConfigDump {
    return create(EndpointsConfigDumpSchema, {});
  }

  runtimeLayers() {
    return [
      {
        name: 'static',
        values: new Map([
          ['x', '1'],
          ['__proto__', 'p'],
        ]),
      },
      { name: 'admin', values: this.runtime },
    ];
  }

  modifyRuntime(values: ReadonlyMap<string, string>): void {
    if (values.has('refuse')) throw new Error('No admin layer specified');
    for (const [key, value] of values) this.runtime.set(key, value);
  }

  loggers() {
    return Array.from(this.levels, ([name, level]) => ({ name, level }));
  }

  setLogLevel(name: string | undefined, level: LogLevel): void {
    for (const key of name === undefined ? [...this.levels.keys()] : [name]) this.levels.set(key, level);
  }

  reopenLogs(): void {
    this.done.push('reopen');
  }

  failHealthCheck(failed: boolean): void {
    this.done.push(['fail', failed]);
  }

  drainListeners(options: unknown): void {
    this.done.push(['drain', options]);
  }

  quit(): void {
    this.done.push('quit');
  }
}
