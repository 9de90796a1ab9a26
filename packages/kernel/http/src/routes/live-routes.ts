import {
  ApiConfigSource_ApiType,
  equals,
  type RouteConfiguration,
  type RouteConfigurationSchema,
  type VirtualHost,
  VirtualHostSchema,
  VhdsSchema,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DynamicResources,
  type Logger,
  type ResourceUser,
  type ResourceWatch,
} from '@dragoman/core';
import {
  type CompiledHosts,
  type DiscoveredHosts,
  type RouteTableOptions,
  TableCompiler,
} from './compile.ts';
import { DemandingRouteTable } from './demanding-table.ts';
import type { CompiledRouteTable } from './route-table.ts';

export interface LiveRoutesOptions extends RouteTableOptions {
  readonly resources: DynamicResources;
  /** Is told when something that was compiled before can no longer be put together. */
  readonly logger: Logger;
  /** Looks at a configuration, or at discovered hosts, before they are taken. @throws ConfigError */
  readonly check?: ((config: RouteConfiguration) => void) | undefined;
  /** Another table is in place. */
  readonly onChange: () => void;
}

const NO_HOSTS: DiscoveredHosts = new Map();

/** One version of a route configuration. */
interface Version {
  readonly compiler: TableCompiler;
  /** Undefined: it holds all its virtual hosts itself. */
  readonly hosts: HostWatch | undefined;
}

/** The virtual hosts of a route configuration that are discovered. */
class HostWatch {
  hosts: DiscoveredHosts = NO_HOSTS;
  watch: ResourceWatch | undefined = undefined;
}

/** A route configuration that changes while it is used, with the virtual hosts that are discovered for it (VHDS). */
export class LiveRoutes implements ResourceUser<typeof RouteConfigurationSchema> {
  /** Undefined before the first version. */
  current: CompiledRouteTable | undefined = undefined;
  private readonly options: LiveRoutesOptions;
  private version: Version | undefined = undefined;
  /** Prepared, and perhaps refused by somebody else. */
  private prepared: Version | undefined = undefined;

  constructor(options: LiveRoutesOptions) {
    this.options = options;
  }

  /**
   * Compiles a version; what it returns puts it in place. Removed, it stays as it was.
   * @throws ConfigError with paths below the configuration
   */
  prepare(config: RouteConfiguration | undefined): () => void {
    if (config === undefined) return () => undefined;
    this.dropPrepared();
    this.options.check?.(config);
    const compiler = new TableCompiler(config, this.options);
    const version: Version = { compiler, hosts: this.hostsFor(config, compiler) };
    const used = version.hosts?.hosts ?? NO_HOSTS;
    this.prepared = version;
    let compiled: CompiledHosts;
    try {
      compiled = compiler.compile(used);
    } catch (error) {
      this.dropPrepared();
      throw error;
    }
    return () => {
      const before = this.version;
      this.version = version;
      if (this.prepared === version) this.prepared = undefined;
      if (before?.hosts !== version.hosts) before?.hosts?.watch?.close();
      // Hosts may have come between the two steps.
      const hosts = version.hosts?.hosts ?? NO_HOSTS;
      this.place(version, hosts === used ? compiled : this.again(version, hosts));
    };
  }

  close(): void {
    this.dropPrepared();
    this.version?.hosts?.watch?.close();
    this.version = undefined;
  }

  /** The watch that goes on, or another one. */
  private hostsFor(config: RouteConfiguration, compiler: TableCompiler): HostWatch | undefined {
    const { vhds, name } = config;
    if (vhds === undefined) return undefined;
    const before = this.version;
    if (
      before?.hosts !== undefined &&
      before.compiler.config.name === name &&
      equals(VhdsSchema, before.compiler.config.vhds as typeof vhds, vhds)
    )
      return before.hosts;
    const source = vhds.configSource?.configSourceSpecifier;
    if (
      source?.case !== 'ads' &&
      !(source?.case === 'apiConfigSource' && source.value.apiType === ApiConfigSource_ApiType.DELTA_GRPC)
    )
      throw ConfigError.at(
        'vhds.config_source',
        'virtual hosts are discovered one by one, which needs ads or an api_config_source of the type DELTA_GRPC',
      );
    const hosts = new HostWatch();
    const collection = { type: VirtualHostSchema, source: vhds.configSource, namespace: name };
    hosts.watch = atPath('vhds', () =>
      this.options.resources.watchAll(collection, {
        prepare: (found) => this.prepareHosts(hosts, compiler, found),
      }),
    );
    return hosts;
  }

  private prepareHosts(
    hosts: HostWatch,
    first: TableCompiler,
    found: ReadonlyMap<string, VirtualHost>,
  ): () => void {
    const version = [this.version, this.prepared].find((each) => each?.hosts === hosts);
    const compiler = version?.compiler ?? first;
    const { check } = this.options;
    const compiled = compiler.compile(found);
    check?.(withHosts(compiler.config, compiled));
    return () => {
      hosts.hosts = found;
      const now = this.version;
      if (now?.hosts !== hosts) return;
      this.place(now, now.compiler === compiler ? compiled : this.again(now, found));
    };
  }

  /** What fits alone need not fit together: then the table stays as it is. */
  private again({ compiler }: Version, hosts: DiscoveredHosts): CompiledHosts | undefined {
    try {
      return compiler.compile(hosts);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.options.logger.warn(
        `route configuration "${compiler.config.name}" and its virtual hosts do not go together, the old ones stay: ${error.message}`,
      );
      return undefined;
    }
  }

  private place({ compiler: { config } }: Version, compiled: CompiledHosts | undefined): void {
    if (compiled === undefined) return;
    const { resources, onTable, onChange } = this.options;
    const { table, discovered } = compiled;
    this.current =
      config.vhds === undefined
        ? table
        : new DemandingRouteTable(table, discovered, (name, onAnswer) =>
            resources.demand({ type: VirtualHostSchema, source: config.vhds?.configSource, name }, onAnswer),
          );
    onTable?.(this.current, withHosts(config, compiled));
    onChange();
  }

  private dropPrepared(): void {
    const { prepared } = this;
    this.prepared = undefined;
    if (prepared?.hosts !== this.version?.hosts) prepared?.hosts?.watch?.close();
  }
}

/** The configuration as if it held all its hosts itself. */
function withHosts(config: RouteConfiguration, { virtualHosts }: CompiledHosts): RouteConfiguration {
  return config.vhds === undefined ? config : { ...config, virtualHosts: [...virtualHosts] };
}
