import { type LayeredRuntime, type MessageShape, RuntimeLayerSchema, type StructSchema } from '@dragoman/api';
import {
  ConfigError,
  type Gauge,
  ProblemCollector,
  refuseUnsupported,
  type StatsScope,
} from '@dragoman/core';
import { RuntimeValues } from './runtime-values.ts';

const SUPPORTED_LAYERS = new Set(['name', 'static_layer', 'admin_layer']);
const REASONS = {
  disk_layer: 'disk layers are not supported yet; write the values in a static_layer',
  rtds_layer:
    'layers from a management server (RTDS) are not supported yet; write the values in a static_layer',
};

/** Without `layered_runtime` there is no layer at all: `/runtime_modify` needs one that is configured. */
const DEFAULT_LAYERS: readonly Layer[] = [];

interface Layer {
  readonly name: string;
  readonly values: Map<string, string>;
  readonly admin: boolean;
}

/** A runtime made of layers, later ones winning. Reads see the merged map; a change makes a new one. */
export class RuntimeLayers extends RuntimeValues {
  readonly layers: readonly Layer[];
  private readonly numKeys: Gauge;
  private readonly adminOverrides: Gauge;

  /** @throws ConfigError with paths below `layered_runtime` */
  constructor(config: LayeredRuntime | undefined, stats: StatsScope) {
    super();
    this.layers = config === undefined ? DEFAULT_LAYERS : readLayers(config);
    const scope = stats.scope('runtime');
    for (const name of [
      'deprecated_feature_use',
      'load_error',
      'override_dir_exists',
      'override_dir_not_exists',
    ]) {
      scope.counter(name);
    }
    scope.gauge('deprecated_feature_seen_since_process_start', 'never-import');
    scope.counter('load_success').inc();
    scope.gauge('num_layers', 'never-import').set(this.layers.length);
    this.numKeys = scope.gauge('num_keys', 'never-import');
    this.adminOverrides = scope.gauge('admin_overrides_active', 'never-import');
    this.replace(this.merge());
  }

  /**
   * Sets keys of the admin layer; an empty value takes the key back.
   * @throws Error when there is no admin layer
   */
  modify(values: ReadonlyMap<string, string>): void {
    const admin = this.layers.find((layer) => layer.admin);
    if (admin === undefined) throw new Error('No admin layer specified');
    for (const [key, value] of values) {
      if (value === '') admin.values.delete(key);
      else admin.values.set(key, value);
    }
    this.replace(this.merge());
  }

  private merge(): ReadonlyMap<string, string> {
    const merged = new Map<string, string>();
    for (const { values } of this.layers) for (const [key, value] of values) merged.set(key, value);
    this.numKeys.set(merged.size);
    this.adminOverrides.set(this.layers.some(({ admin, values }) => admin && values.size > 0) ? 1 : 0);
    return merged;
  }
}

function readLayers(config: LayeredRuntime): Layer[] {
  const problems = new ProblemCollector();
  const names = new Set<string>();
  const layers = config.layers.map((layer, i): Layer => {
    const path = `layers[${i}]`;
    problems.try(path, () => refuseUnsupported(layer, RuntimeLayerSchema, SUPPORTED_LAYERS, '', REASONS));
    if (names.has(layer.name)) problems.add(`${path}.name`, `there are two layers named "${layer.name}"`);
    names.add(layer.name);
    const values = new Map<string, string>();
    const { layerSpecifier } = layer;
    if (layerSpecifier.case === 'staticLayer')
      problems.try(`${path}.static_layer`, () => flatten(layerSpecifier.value, '', values));
    return { name: layer.name, values, admin: layerSpecifier.case === 'adminLayer' };
  });
  if (layers.filter(({ admin }) => admin).length > 1)
    problems.add('layers', 'there can be one admin_layer at most');
  problems.throwIfAny();
  return layers;
}

type Struct = MessageShape<typeof StructSchema> | { readonly [key: string]: unknown };

/** Nested objects become dotted keys; a FractionalPercent stays one value, as JSON. */
function flatten(struct: Struct, prefix: string, into: Map<string, string>): void {
  for (const [name, value] of Object.entries(struct)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (value === null) throw ConfigError.at(key, 'null is no runtime value');
    if (Array.isArray(value)) throw ConfigError.at(key, 'a list is no runtime value');
    if (typeof value !== 'object') into.set(key, String(value));
    else if ('numerator' in value || 'denominator' in value) into.set(key, JSON.stringify(value));
    else flatten(value as Struct, key, into);
  }
}
