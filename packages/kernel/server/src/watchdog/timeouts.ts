import { type Bootstrap, durationMs, type Watchdog, WatchdogSchema, WatchdogsSchema } from '@dragoman/api';
import { ConfigError, ProblemCollector, type RandomSource, refuseUnsupported } from '@dragoman/core';

/**
 * How long a thread may be stuck before what happens, in milliseconds. 0 turns a step off: Envoy documents that for the
 * two kills; for the two misses it would look without a pause and count every look. Plain data that can be posted.
 */
export interface WatchdogTimeouts {
  /** `miss_timeout`: counted in `watchdog_miss`. Default 200. */
  readonly missMs: number;
  /** `megamiss_timeout`: counted in `watchdog_mega_miss` and logged. Default 1000. */
  readonly megamissMs: number;
  /** `kill_timeout`, with the jitter that was drawn: the thread is ended. Default 0. */
  readonly killMs: number;
  /** `multikill_timeout`: threads that are stuck together for so long are ended. Default 0. */
  readonly multikillMs: number;
  /** `multikill_threshold`: how many of the watched threads that takes, percent (two at least). 0 … 100, default 0. */
  readonly multikillThreshold: number;
}

/** `main_thread_watchdog` and `worker_watchdog`. */
export interface WatchdogConfig {
  readonly main: WatchdogTimeouts;
  readonly workers: WatchdogTimeouts;
}

/** Timers of the clock are up to 4 ms late: to look more often would count them instead of stuck threads. */
const SHORTEST_LOOK_MS = 10;

const WATCHDOG_SUPPORTED = new Set([
  'miss_timeout',
  'megamiss_timeout',
  'kill_timeout',
  'max_kill_timeout_jitter',
  'multikill_timeout',
  'multikill_threshold',
]);
const WATCHDOG_REASONS = {
  actions:
    'watchdog actions are not supported; remove them (misses are counted and mega misses logged without any)',
};
const WATCHDOGS_SUPPORTED = new Set(['main_thread_watchdog', 'worker_watchdog']);

/**
 * The watchdogs of a bootstrap; without any, Envoy's defaults. Draws the jitter of each `kill_timeout`.
 * @throws ConfigError with paths below the bootstrap
 */
export function readWatchdogs({ watchdog, watchdogs }: Bootstrap, random: RandomSource): WatchdogConfig {
  const problems = new ProblemCollector();
  const read = (path: string, config: Watchdog | undefined) =>
    problems.try(path, () => readWatchdog(config, random));
  if (watchdog !== undefined && watchdogs !== undefined)
    problems.add('watchdog', 'watchdog and watchdogs exclude each other; remove watchdog, it is deprecated');
  if (watchdogs !== undefined)
    problems.try('watchdogs', () => refuseUnsupported(watchdogs, WatchdogsSchema, WATCHDOGS_SUPPORTED));
  let main: WatchdogTimeouts | undefined;
  let workers: WatchdogTimeouts | undefined;
  if (watchdog !== undefined) {
    main = read('watchdog', watchdog);
    // Each has a jitter of its own; what is wrong with it is said once.
    workers = main === undefined ? undefined : read('watchdog', watchdog);
  } else {
    main = read('watchdogs.main_thread_watchdog', watchdogs?.mainThreadWatchdog);
    workers = read('watchdogs.worker_watchdog', watchdogs?.workerWatchdog);
  }
  problems.throwIfAny();
  return { main: main as WatchdogTimeouts, workers: workers as WatchdogTimeouts };
}

/** How often a guard looks, ms: the shortest of the timeouts that are on (Envoy). 0 when all are off. */
export function lookIntervalMs(timeouts: WatchdogTimeouts): number {
  const { missMs, megamissMs, killMs, multikillMs } = timeouts;
  const on = [missMs, megamissMs, killMs, multikillMs].filter((ms) => ms > 0);
  return on.length === 0 ? 0 : Math.max(SHORTEST_LOOK_MS, Math.min(...on));
}

/** How often a watched thread beats, ms: twice a look (Envoy). 0 when nobody looks. */
export function beatIntervalMs(timeouts: WatchdogTimeouts): number {
  return lookIntervalMs(timeouts) / 2;
}

function readWatchdog(config: Watchdog | undefined, random: RandomSource): WatchdogTimeouts {
  const problems = new ProblemCollector();
  if (config !== undefined) {
    problems.try('', () =>
      refuseUnsupported(config, WatchdogSchema, WATCHDOG_SUPPORTED, '', WATCHDOG_REASONS),
    );
  }
  const read = (field: string, duration: Watchdog['missTimeout'], defaultMs: number): number =>
    problems.try(field, () => notNegative(durationMs(duration) ?? defaultMs)) ?? defaultMs;
  const missMs = read('miss_timeout', config?.missTimeout, 200);
  const megamissMs = read('megamiss_timeout', config?.megamissTimeout, 1000);
  const killMs = read('kill_timeout', config?.killTimeout, 0);
  const jitterMs = read('max_kill_timeout_jitter', config?.maxKillTimeoutJitter, 0);
  const multikillMs = read('multikill_timeout', config?.multikillTimeout, 0);
  problems.throwIfAny();
  return {
    missMs,
    megamissMs,
    // Above 0 and up to the whole of it, as in Envoy.
    killMs: killMs > 0 && jitterMs > 0 ? killMs + jitterMs * (1 - random.random()) : killMs,
    multikillMs,
    multikillThreshold: config?.multikillThreshold?.value ?? 0,
  };
}

function notNegative(ms: number): number {
  if (ms < 0) throw ConfigError.at('', 'may not be negative; write 0s to turn it off');
  return ms;
}
