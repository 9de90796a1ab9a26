import type {
  Counter,
  LoadShedPoint,
  LoadShedPointName,
  OverloadAction,
  OverloadActionName,
  OverloadState,
  RandomSource,
  ScaledTimerName,
  StatsScope,
  TimeoutScale,
} from '@dragoman/core';
import { OverloadActionName as Actions } from '@dragoman/core';
import { HighMemoryStreams, type StreamResets } from './high-memory-streams.ts';
import { RESET_COUNT } from './names.ts';
import { ONE, type OverloadHandle, type ScaledTimerRule } from './page.ts';

type Words = Int32Array<SharedArrayBuffer>;

/** A word of the page, as a probability. */
class Chance implements OverloadAction {
  private readonly words: Words;
  private readonly index: number;
  private readonly random: RandomSource;
  /** The word when {@link changed} was last asked. */
  private seen: number;
  /** Somebody has been told another word since then: main writes before it tells. */
  private toldAnother = false;

  constructor(words: Words, index: number, random: RandomSource) {
    this.words = words;
    this.index = index;
    this.random = random;
    this.seen = this.word;
  }

  private get word(): number {
    return Atomics.load(this.words, this.index);
  }

  get value(): number {
    return this.tell() / ONE;
  }

  get saturated(): boolean {
    return this.tell() === ONE;
  }

  private tell(): number {
    const { word } = this;
    if (word !== this.seen) this.toldAnother = true;
    return word;
  }

  fires(): boolean {
    const { word } = this;
    return word !== 0 && (word === ONE || this.random.random() * ONE < word);
  }

  /** Whether it is another than at the last call, or has been meanwhile and somebody has seen that. */
  changed(): boolean {
    const { seen, toldAnother } = this;
    this.seen = this.word;
    this.toldAnother = false;
    return toldAnother || this.seen !== seen;
  }
}

class Point implements LoadShedPoint {
  private readonly chance: Chance;
  private readonly count: Counter;

  constructor(chance: Chance, count: Counter) {
    this.chance = chance;
    this.count = count;
  }

  shouldShed(): boolean {
    if (!this.chance.fires()) return false;
    this.count.inc();
    return true;
  }
}

/** `min + (ms − min) · (1 − value)`, as Envoy scales. */
class Scale implements TimeoutScale {
  readonly callbacks = new Set<() => void>();
  private readonly rule: ScaledTimerRule;
  private readonly action: OverloadAction;

  constructor(rule: ScaledTimerRule, action: OverloadAction) {
    this.rule = rule;
    this.action = action;
  }

  scale(ms: number): number {
    const { minMs, minShare } = this.rule;
    const least = Math.min(ms, minMs ?? ms * minShare);
    return Math.round(least + (ms - least) * (1 - this.action.value));
  }

  onChange(callback: () => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }
}

/** The decisions of main as one worker sees them: read from shared memory, with a word when something is to be done at once. */
export class WorkerOverload implements OverloadState {
  readonly maxDownstreamConnections: number | undefined;
  readonly streams: HighMemoryStreams | undefined;
  private readonly resetCount: Counter | undefined;
  private readonly actions = new Map<string, Chance>();
  private readonly points = new Map<string, Point>();
  private readonly scales = new Map<string, Scale>();
  private readonly callbacks = new Set<() => void>();

  /** @param stats the root: `overload.<point>.shed_load_count` and what streams were reset are counted there */
  constructor(handle: OverloadHandle, random: RandomSource, stats: StatsScope) {
    const words: Words = new Int32Array(handle.buffer);
    this.maxDownstreamConnections = handle.maxDownstreamConnections;
    const { actions, points, timers, resetPower } = handle;
    if (resetPower !== undefined) {
      this.streams = new HighMemoryStreams(resetPower);
      this.resetCount = stats.counter(RESET_COUNT);
    }
    actions.forEach((name, i) => {
      this.actions.set(name, new Chance(words, i, random));
    });
    points.forEach((name, i) => {
      const count = stats.counter(`overload.${name}.shed_load_count`);
      this.points.set(name, new Point(new Chance(words, actions.length + i, random), count));
    });
    const reduce = this.actions.get(Actions.reduceTimeouts);
    if (reduce !== undefined) for (const rule of timers) this.scales.set(rule.name, new Scale(rule, reduce));
  }

  action(name: OverloadActionName): OverloadAction | undefined {
    return this.actions.get(name);
  }

  loadShedPoint(name: LoadShedPointName): LoadShedPoint | undefined {
    return this.points.get(name);
  }

  timeoutScale(name: ScaledTimerName): TimeoutScale | undefined {
    return this.scales.get(name);
  }

  onChange(callback: () => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  /** Carries out `reset_high_memory_stream` once, as far as it is to be carried out at present. */
  resetHighMemoryStreams(): StreamResets | undefined {
    const action = this.actions.get(Actions.resetHighMemoryStream);
    if (action === undefined) return undefined;
    const resets = this.streams?.reset(action.value);
    if (resets !== undefined) this.resetCount?.add(resets.streams);
    return resets;
  }

  /** Main has written another value of some action. */
  changed(): void {
    let any = false;
    for (const [name, action] of this.actions) {
      if (!action.changed()) continue;
      any = true;
      if (name !== Actions.reduceTimeouts) continue;
      for (const { callbacks } of this.scales.values()) for (const callback of [...callbacks]) callback();
    }
    if (any) for (const callback of [...this.callbacks]) callback();
  }
}
