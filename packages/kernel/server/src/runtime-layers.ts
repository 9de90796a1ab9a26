import { type LayeredRuntime, type RuntimeLayer as LayerConfig, RuntimeLayerSchema } from '@dragoman/api';
import {
  atPath,
  type Clock,
  ConfigError,
  type ConfigProblem,
  type ConfigSubscriptions,
  type Counter,
  type Gauge,
  type Logger,
  ProblemCollector,
  refuseUnsupported,
  type StatsScope,
  silentLogger,
} from '@dragoman/core';
import { deprecatedUses } from './runtime/deprecated-features.ts';
import { DiskLayer } from './runtime/disk-layer.ts';
import { FeatureFlags } from './runtime/feature-flags.ts';
import { flatten } from './runtime/flatten.ts';
import type { RuntimeLayer } from './runtime/layer.ts';
import { RtdsLayer } from './runtime/rtds-layer.ts';
import { RuntimeValues } from './runtime-values.ts';

const SUPPORTED_LAYERS = new Set(['name', 'static_layer', 'admin_layer', 'disk_layer', 'rtds_layer']);

export interface RuntimeLayersOptions {
  /** For `append_service_cluster`; default: none. */
  readonly serviceCluster?: string;
  /** Default: silence. */
  readonly logger?: Logger;
}

export interface RuntimeStart {
  readonly clock: Clock;
  readonly subscriptions: ConfigSubscriptions;
  /** Values have changed, not by {@link RuntimeLayers.modify}. */
  onChange(values: ReadonlyMap<string, string>): void;
  /** How long folders of disk layers must be quiet before they are read again, ms; default 100. */
  readonly settleMs?: number;
}

interface AdminLayer extends RuntimeLayer {
  readonly kind: 'admin';
  readonly values: Map<string, string>;
}

/** A runtime made of layers, later ones winning. Reads see the merged map; a change makes a new one. Without `layered_runtime` there is no layer at all. */
export class RuntimeLayers extends RuntimeValues {
  private readonly all: readonly RuntimeLayer[];
  private readonly scope: StatsScope;
  private readonly logger: Logger;
  private readonly flags: FeatureFlags;
  private readonly stats: RuntimeStats;
  private stopped = false;
  private readonly waitingFor = new Set<string>();

  /**
   * Reads static and disk layers. What is wrong with the files of a disk layer is no mistake of the config.
   * @throws ConfigError with paths below `layered_runtime`
   */
  constructor(config: LayeredRuntime | undefined, stats: StatsScope, options: RuntimeLayersOptions = {}) {
    super();
    const { serviceCluster = '', logger = silentLogger } = options;
    this.all = config === undefined ? [] : readLayers(config, serviceCluster);
    this.scope = stats.scope('runtime');
    this.stats = runtimeStats(this.scope);
    this.logger = logger;
    this.flags = new FeatureFlags(logger);
    for (const layer of this.all) {
      if (layer.kind !== 'disk') continue;
      this.tellError(layer as DiskLayer);
      if ((layer as DiskLayer).path === undefined)
        logger.warn(
          `runtime: layer "${layer.name}" is empty: it appends the service cluster, and this proxy has none (--service-cluster)`,
        );
    }
    this.load();
  }

  /** Resources of RTDS layers that have not been answered. */
  get waiting(): readonly string[] {
    return [...this.waitingFor];
  }

  /** Those that count, in their order. */
  get layers(): readonly RuntimeLayer[] {
    return this.all.filter(({ active }) => active);
  }

  /**
   * From now on disk layers are watched, and RTDS layers are asked for. Fulfilled once each RTDS layer has had its first update or its failure.
   * @throws ConfigError with paths below the bootstrap, by rejection
   */
  async start({ clock, subscriptions, onChange, settleMs }: RuntimeStart): Promise<void> {
    const reload = (): void => {
      if (this.stopped) return;
      this.load();
      onChange(this.values);
    };
    const problems = new ProblemCollector();
    const ready: Promise<void>[] = [];
    const settled = (layer: RtdsLayer) => () => this.waitingFor.delete(layer.resource);
    for (const [i, layer] of this.all.entries()) {
      if (layer instanceof DiskLayer) {
        const changed = (): void => {
          this.tellError(layer);
          reload();
        };
        layer.start(clock, changed, settleMs);
      } else if (layer instanceof RtdsLayer) {
        const path = `layered_runtime.layers[${i}].rtds_layer`;
        const started = problems.try(path, () => layer.start(subscriptions, this.scope, reload));
        if (started === undefined) continue;
        this.waitingFor.add(layer.resource);
        ready.push(started.then(settled(layer)).then(() => {}));
      }
    }
    problems.throwIfAny();
    await Promise.all(ready);
    if (ready.length > 0) this.logger.info('RTDS has finished initialization');
  }

  /** Nothing changes any more, and nobody waits. */
  stop(): void {
    this.stopped = true;
    for (const layer of this.all) if (layer instanceof DiskLayer || layer instanceof RtdsLayer) layer.stop();
  }

  /**
   * Sets keys of the admin layer; an empty value takes the key back.
   * @throws Error when there is no admin layer
   */
  modify(values: ReadonlyMap<string, string>): void {
    const admin = this.all.find((layer): layer is AdminLayer => layer.kind === 'admin');
    if (admin === undefined) throw new Error('No admin layer specified');
    for (const [key, value] of values) {
      if (value === '') admin.values.delete(key);
      else admin.values.set(key, value);
    }
    this.stats.adminOverrides.set(admin.values.size > 0 ? 1 : 0);
    this.load();
  }

  /**
   * Counts the warnings that are about deprecated fields and values.
   * @throws ConfigError with those that these values forbid
   */
  noteDeprecated(warnings: readonly ConfigProblem[]): void {
    const uses = deprecatedUses(warnings, this).length;
    this.stats.deprecatedUses.add(uses);
    this.stats.deprecatedSeen.add(uses);
  }

  private load(): void {
    const { layers, stats } = this;
    const merged = new Map<string, string>();
    for (const { values } of layers) for (const [key, value] of values) merged.set(key, value);
    const failed = this.all.some((layer) => layer instanceof DiskLayer && layer.error !== undefined);
    (failed ? stats.loadError : stats.loadSuccess).inc();
    const folders = layers.filter(({ kind }) => kind === 'disk').length;
    (folders > 1 ? stats.overrideDirExists : stats.overrideDirNotExists).inc();
    stats.numLayers.set(layers.length);
    stats.numKeys.set(merged.size);
    this.flags.check(merged);
    this.replace(merged);
  }

  private tellError({ name, error, active }: DiskLayer): void {
    if (error === undefined) return;
    const kept = active ? 'what it held before stays' : 'it is left out';
    this.logger.warn(`runtime: layer "${name}" cannot be read, ${kept}: ${error}`);
  }
}

interface RuntimeStats {
  readonly loadSuccess: Counter;
  readonly loadError: Counter;
  readonly overrideDirExists: Counter;
  readonly overrideDirNotExists: Counter;
  readonly deprecatedUses: Counter;
  readonly deprecatedSeen: Gauge;
  readonly numLayers: Gauge;
  readonly numKeys: Gauge;
  readonly adminOverrides: Gauge;
}

function runtimeStats(scope: StatsScope): RuntimeStats {
  return {
    loadSuccess: scope.counter('load_success'),
    loadError: scope.counter('load_error'),
    overrideDirExists: scope.counter('override_dir_exists'),
    overrideDirNotExists: scope.counter('override_dir_not_exists'),
    deprecatedUses: scope.counter('deprecated_feature_use'),
    deprecatedSeen: scope.gauge('deprecated_feature_seen_since_process_start', 'never-import'),
    numLayers: scope.gauge('num_layers', 'never-import'),
    numKeys: scope.gauge('num_keys', 'never-import'),
    adminOverrides: scope.gauge('admin_overrides_active', 'never-import'),
  };
}

function readLayers(config: LayeredRuntime, serviceCluster: string): RuntimeLayer[] {
  const problems = new ProblemCollector();
  const names = new Set<string>();
  const layers: RuntimeLayer[] = [];
  for (const [i, layerConfig] of config.layers.entries()) {
    const path = `layers[${i}]`;
    const { name } = layerConfig;
    if (names.has(name)) problems.add(`${path}.name`, `there are two layers named "${name}"`);
    names.add(name);
    const layer = problems.try(path, () => readLayer(layerConfig, serviceCluster));
    if (layer !== undefined) layers.push(layer);
  }
  if (layers.filter(({ kind }) => kind === 'admin').length > 1)
    problems.add('layers', 'there can be one admin_layer at most');
  problems.throwIfAny();
  return layers;
}

/** @throws ConfigError with paths below the layer */
function readLayer(config: LayerConfig, serviceCluster: string): RuntimeLayer {
  refuseUnsupported(config, RuntimeLayerSchema, SUPPORTED_LAYERS);
  const { name, layerSpecifier } = config;
  switch (layerSpecifier.case) {
    case 'staticLayer':
      return {
        name,
        kind: 'static',
        values: atPath('static_layer', () => flatten(layerSpecifier.value)),
        active: true,
      };
    case 'adminLayer':
      return { name, kind: 'admin', values: new Map(), active: true };
    case 'diskLayer':
      return atPath('disk_layer', () => new DiskLayer(name, layerSpecifier.value, serviceCluster));
    case 'rtdsLayer':
      return atPath('rtds_layer', () => new RtdsLayer(name, layerSpecifier.value));
    default:
      throw ConfigError.at('', 'needs one of static_layer, disk_layer, admin_layer, rtds_layer');
  }
}
