import {
  type Any,
  anyTypeName,
  durationMs,
  nearest,
  type OverloadAction as ActionMessage,
  type OverloadManager as OverloadManagerMessage,
  OverloadManagerSchema,
  resolveExtension,
  ScaleTimersOverloadActionConfig_TimerType as TimerType,
  type ScaleTimersOverloadActionConfig_ScaleTimer as ScaleTimer,
  ScaleTimersOverloadActionConfigSchema,
  ShrinkHeapConfigSchema,
  type Trigger,
  typeUrl,
  unpackAnyAs,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  OverloadActionName,
  ProblemCollector,
  refuseUnsupported,
  type ResourceMonitor,
  type ResourceMonitorContext,
  type ScaledTimerName,
} from '@dragoman/core';
import { ACTIONS, POINTS, REFUSED_ACTIONS, REFUSED_POINTS } from './names.ts';
import type { ScaledTimerRule } from './page.ts';
import { compileTrigger, type TriggerValue } from './trigger.ts';

/** An action or a load shed point. */
export interface Triggered {
  readonly name: string;
  readonly triggers: readonly {
    /** Index of {@link OverloadPlan.monitors}. */
    readonly resource: number;
    readonly value: TriggerValue;
  }[];
}

/** `overload_manager` of a bootstrap, compiled. */
export interface OverloadPlan {
  readonly refreshMs: number;
  readonly monitors: readonly { readonly name: string; readonly monitor: ResourceMonitor }[];
  readonly actions: readonly Triggered[];
  readonly points: readonly Triggered[];
  readonly timers: readonly ScaledTimerRule[];
  /** How often `shrink_heap` acts while it is saturated, ms; undefined without that action. */
  readonly shrinkIntervalMs: number | undefined;
  /** From this power of two on `reset_high_memory_stream` looks at the bytes of a stream; undefined without that action. */
  readonly resetPower: number | undefined;
}

const DEFAULT_REFRESH_MS = 1000;
const DEFAULT_SHRINK_MS = 10_000;

const SUPPORTED = new Set([
  'refresh_interval',
  'resource_monitors',
  'actions',
  'loadshed_points',
  'buffer_factory_config',
]);

/** @throws ConfigError with every problem, paths below `overload_manager` */
export function readOverloadManager(
  config: OverloadManagerMessage,
  context: ResourceMonitorContext,
): OverloadPlan {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(config, OverloadManagerSchema, SUPPORTED, ''));
  const refreshMs =
    config.refreshInterval === undefined ? DEFAULT_REFRESH_MS : durationMs(config.refreshInterval);
  if (refreshMs < 1)
    problems.add('refresh_interval', `must be at least 0.001s (1 ms), is ${refreshMs / 1000}s`);
  const monitors = createMonitors(config, context, problems);
  const resources = config.resourceMonitors.map(({ name }) => name);
  const triggered = (
    list: readonly { readonly name: string; readonly triggers: readonly Trigger[] }[],
    kind: Kind,
    usable: readonly string[],
  ): Triggered[] => {
    unique(list, kind.field, kind.what, problems);
    return list.map(({ name, triggers }, i) => {
      problems.try(`${kind.field}[${i}].name`, () => checkName(name, kind));
      return { name, triggers: readTriggers(triggers, resources, usable, `${kind.field}[${i}]`, problems) };
    });
  };
  const measured = resources.filter((_, i) => monitors[i]?.monitor.maxDownstreamConnections === undefined);
  const actions = triggered(config.actions, ACTION, resources);
  const points = triggered(config.loadshedPoints, POINT, measured);
  let timers: readonly ScaledTimerRule[] = [];
  let shrinkIntervalMs: number | undefined;
  config.actions.forEach((action, i) => {
    problems.try(`actions[${i}].typed_config`, () => {
      if (action.name === OverloadActionName.reduceTimeouts) timers = readTimers(action.typedConfig);
      else if (action.name === OverloadActionName.shrinkHeap) shrinkIntervalMs = readShrinkHeap(action);
      else if (action.typedConfig !== undefined)
        throw ConfigError.at('', `${action.name} takes no config; remove it`);
    });
  });
  const resetPower = readResetPower(config, problems);
  problems.throwIfAny();
  return { refreshMs, monitors, actions, points, timers, shrinkIntervalMs, resetPower };
}

function createMonitors(
  config: OverloadManagerMessage,
  context: ResourceMonitorContext,
  problems: ProblemCollector,
): OverloadPlan['monitors'] {
  unique(config.resourceMonitors, 'resource_monitors', 'resource monitor', problems);
  return config.resourceMonitors.map(({ name, configType }, i) => {
    const monitor = problems.try(`resource_monitors[${i}]`, () => {
      const { extension, message } = resolveExtension(
        context.extensions,
        'resource-monitors',
        name,
        configType.case === 'typedConfig' ? configType.value : undefined,
      );
      return atPath('typed_config', () => extension.create(message, context));
    });
    return { name, monitor: monitor ?? NO_MONITOR };
  });
}

/** In the place of one that is wrong, while the rest is looked at. */
const NO_MONITOR: ResourceMonitor = { measure: () => 0 };

interface Kind {
  readonly field: string;
  readonly what: string;
  readonly known: ReadonlySet<string>;
  readonly refused: Readonly<Record<string, string>>;
}
const ACTION: Kind = { field: 'actions', what: 'overload action', known: ACTIONS, refused: REFUSED_ACTIONS };
const POINT: Kind = {
  field: 'loadshed_points',
  what: 'load shed point',
  known: POINTS,
  refused: REFUSED_POINTS,
};

function checkName(name: string, { what, known, refused }: Kind): void {
  if (known.has(name)) return;
  const reason = refused[name];
  if (reason !== undefined) throw ConfigError.at('', `"${name}" is not supported: ${reason}`);
  const close = nearest(name, [...known]);
  throw ConfigError.at(
    '',
    `unknown ${what} "${name}"; ${close === undefined ? `there are ${[...known].join(', ')}` : `did you mean "${close}"?`}`,
  );
}

function unique(
  list: readonly { readonly name: string }[],
  field: string,
  what: string,
  problems: ProblemCollector,
): void {
  const seen = new Set<string>();
  list.forEach(({ name }, i) => {
    if (seen.has(name)) problems.add(`${field}[${i}].name`, `another ${what} is named "${name}" too`);
    seen.add(name);
  });
}

function readTriggers(
  list: readonly Trigger[],
  resources: readonly string[],
  usable: readonly string[],
  path: string,
  problems: ProblemCollector,
): Triggered['triggers'] {
  unique(list, `${path}.triggers`, 'trigger of it', problems);
  return list.flatMap((trigger, i) => {
    const at = `${path}.triggers[${i}]`;
    const value = problems.try(at, () => compileTrigger(trigger));
    const resource = usable.includes(trigger.name) ? resources.indexOf(trigger.name) : -1;
    if (resource < 0)
      problems.add(
        `${at}.name`,
        `"${trigger.name}" is no resource monitor that can be used here; ${listed(usable)}`,
      );
    return value === undefined || resource < 0 ? [] : [{ resource, value }];
  });
}

function listed(names: readonly string[]): string {
  return names.length === 0
    ? 'there is none in resource_monitors'
    : `those of resource_monitors are ${names.map((name) => `"${name}"`).join(', ')}`;
}

/** @throws ConfigError with paths below the `typed_config` */
function readTimers(any: Any | undefined): readonly ScaledTimerRule[] {
  const url = typeUrl(ScaleTimersOverloadActionConfigSchema);
  const config = any === undefined ? undefined : unpackAnyAs(any, ScaleTimersOverloadActionConfigSchema);
  if (config === undefined) {
    throw ConfigError.at('', `reduce_timeouts needs a ${url} that names the timers to shorten${found(any)}`);
  }
  const seen = new Set<TimerType>();
  return config.timerScaleFactors.map((factor, i) =>
    atPath(`timer_scale_factors[${i}]`, () => {
      if (seen.has(factor.timer)) throw ConfigError.at('timer', `${TimerType[factor.timer]} is listed twice`);
      seen.add(factor.timer);
      return readTimer(factor);
    }),
  );
}

function readTimer({ timer, overloadAdjust }: ScaleTimer): ScaledTimerRule {
  const name = TimerType[timer] as ScaledTimerName;
  switch (overloadAdjust.case) {
    case 'minTimeout': {
      const minMs = durationMs(overloadAdjust.value);
      if (minMs < 0)
        throw ConfigError.at(
          'min_timeout',
          `must not be negative, is ${minMs / 1000}s; 0s ends the wait at once`,
        );
      return { name, minMs, minShare: 1 };
    }
    case 'minScale':
      return { name, minMs: undefined, minShare: overloadAdjust.value.value / 100 };
    default:
      throw ConfigError.at('', 'needs min_timeout, or min_scale');
  }
}

/** @returns ms. @throws ConfigError with paths below the `typed_config` */
function readShrinkHeap({ typedConfig: any }: ActionMessage): number {
  if (any === undefined) return DEFAULT_SHRINK_MS;
  const config = unpackAnyAs(any, ShrinkHeapConfigSchema);
  if (config === undefined)
    throw ConfigError.at('', `shrink_heap takes a ${typeUrl(ShrinkHeapConfigSchema)}${found(any)}`);
  refuseUnsupported(config, ShrinkHeapConfigSchema, new Set(['timer_interval']), '', {
    max_unfreed_memory_bytes:
      'is for tcmalloc: V8 and the C library give back all that they can, or nothing; remove it',
  });
  return config.timerInterval === undefined ? DEFAULT_SHRINK_MS : durationMs(config.timerInterval);
}

/** Undefined without `reset_high_memory_stream`. */
function readResetPower(
  { actions, bufferFactoryConfig }: OverloadManagerMessage,
  problems: ProblemCollector,
): number | undefined {
  const index = actions.findIndex(({ name }) => name === OverloadActionName.resetHighMemoryStream);
  if (index < 0) return undefined;
  if (bufferFactoryConfig === undefined) {
    problems.add(
      `actions[${index}]`,
      `${OverloadActionName.resetHighMemoryStream} needs to know which streams are large: set overload_manager.buffer_factory_config.minimum_account_to_track_power_of_two (20: those that hold 1 MiB and more)`,
    );
  }
  return bufferFactoryConfig?.minimumAccountToTrackPowerOfTwo;
}

function found(any: Any | undefined): string {
  return any === undefined ? '' : `, and this is a ${anyTypeName(any)}`;
}
