import type {
  LoadShedPoint,
  LoadShedPointName,
  OverloadAction,
  OverloadActionName,
  OverloadState,
  ScaledTimerName,
  StreamRegistry,
  TimeoutScale,
} from '@dragoman/core';

/** Overload as a test says. What it was not made with no config speaks of. */
export class TestOverload implements OverloadState {
  maxDownstreamConnections: number | undefined = undefined;
  streams: StreamRegistry | undefined = undefined;
  /** How often each point has shed something. */
  readonly shed: Record<string, number> = {};
  private readonly names: ReadonlySet<string>;
  private readonly values = new Map<string, number>();
  private readonly callbacks = new Set<() => void>();
  private readonly scaleCallbacks = new Set<() => void>();

  /** @param names of actions, load shed points and timers that are configured */
  constructor(names: readonly (OverloadActionName | LoadShedPointName | ScaledTimerName)[]) {
    this.names = new Set(names);
  }

  /** Of an action, a point, or a timer: 0 … 1. What is neither 0 nor 1 fires from a half upwards. A timer is shortened to `1 − value` of it. */
  set(name: string, value: number): void {
    this.values.set(name, value);
    for (const callback of [...this.callbacks, ...this.scaleCallbacks]) callback();
  }

  action(name: OverloadActionName): OverloadAction | undefined {
    if (!this.names.has(name)) return undefined;
    const value = (): number => this.values.get(name) ?? 0;
    return {
      get value() {
        return value();
      },
      get saturated() {
        return value() === 1;
      },
      fires: () => value() >= 0.5,
    };
  }

  loadShedPoint(name: LoadShedPointName): LoadShedPoint | undefined {
    if (!this.names.has(name)) return undefined;
    return {
      shouldShed: () => {
        if ((this.values.get(name) ?? 0) < 0.5) return false;
        this.shed[name] = (this.shed[name] ?? 0) + 1;
        return true;
      },
    };
  }

  timeoutScale(name: ScaledTimerName): TimeoutScale | undefined {
    if (!this.names.has(name)) return undefined;
    return {
      scale: (ms) => Math.round(ms * (1 - (this.values.get(name) ?? 0))),
      onChange: (callback) => {
        this.scaleCallbacks.add(callback);
        return () => this.scaleCallbacks.delete(callback);
      },
    };
  }

  onChange(callback: () => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  /** Callbacks that were not taken back. */
  get waiting(): number {
    return this.callbacks.size + this.scaleCallbacks.size;
  }
}
