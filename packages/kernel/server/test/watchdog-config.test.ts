import { type Bootstrap, loadConfig } from '@dragoman/api';
import { type ConfigError, systemRandom } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import {
  beatIntervalMs,
  lookIntervalMs,
  readWatchdogs,
  type WatchdogTimeouts,
} from '../src/watchdog/timeouts.ts';

const DEFAULTS: WatchdogTimeouts = {
  missMs: 200,
  megamissMs: 1000,
  killMs: 0,
  multikillMs: 0,
  multikillThreshold: 0,
};

const bootstrap = (yaml: string): Bootstrap => loadConfig({ text: yaml, file: 'envoy.yaml' }).message;

/** Draws in their order. */
function read(yaml: string, ...draws: number[]) {
  const random = () => {
    const draw = draws.shift();
    if (draw === undefined) throw new Error('one draw too many');
    return draw;
  };
  return readWatchdogs(bootstrap(yaml), { ...systemRandom, random });
}

function problems(yaml: string): string[] {
  try {
    readWatchdogs(bootstrap(yaml), systemRandom);
  } catch (error) {
    return (error as ConfigError).problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe('the watchdogs of a bootstrap', () => {
  test.each(['{}', 'watchdogs: {}', 'watchdog: {}', 'watchdogs: {main_thread_watchdog: {}}'])(
    'are the defaults with %s',
    (yaml) => {
      expect(read(yaml)).toEqual({ main: DEFAULTS, workers: DEFAULTS });
    },
  );

  const ALL =
    '{miss_timeout: 0.1s, megamiss_timeout: 2s, kill_timeout: 3s, max_kill_timeout_jitter: 1s, ' +
    'multikill_timeout: 1.5s, multikill_threshold: {value: 62.5}}';
  const all = { missMs: 100, megamissMs: 2000, multikillMs: 1500, multikillThreshold: 62.5 };

  test('are read with every field, each for its threads', () => {
    expect(read(`watchdogs: {worker_watchdog: ${ALL}}`, 0.25)).toEqual({
      main: DEFAULTS,
      workers: { ...all, killMs: 3750 },
    });
    expect(read(`watchdogs: {main_thread_watchdog: ${ALL}}`, 0.25)).toEqual({
      main: { ...all, killMs: 3750 },
      workers: DEFAULTS,
    });
  });

  test('are one for all threads when there is the old field only, each with its own jitter', () => {
    expect(read(`watchdog: ${ALL}`, 0.25, 0.75)).toEqual({
      main: { ...all, killMs: 3750 },
      workers: { ...all, killMs: 3250 },
    });
  });

  test.each([
    ['the whole jitter at most', '{kill_timeout: 1s, max_kill_timeout_jitter: 0.5s}', [0], 1500],
    [
      'more than nothing',
      '{kill_timeout: 1s, max_kill_timeout_jitter: 0.5s}',
      [1 - 2 ** -53],
      1000.0000000000001,
    ],
    ['no draw without a jitter', '{kill_timeout: 1s, max_kill_timeout_jitter: 0s}', [], 1000],
    ['no draw without a kill', '{max_kill_timeout_jitter: 0.5s}', [], 0],
    ['nor with a kill that is off', '{kill_timeout: 0s, max_kill_timeout_jitter: 0.5s}', [], 0],
  ] as const)('jitter: %s', (_, config, draws, killMs) => {
    expect(read(`watchdogs: {worker_watchdog: ${config}}`, ...draws).workers.killMs).toBeCloseTo(killMs, 9);
  });

  test('are off where a duration is 0', () => {
    const off = '{miss_timeout: 0s, megamiss_timeout: 0s, kill_timeout: 0s, multikill_timeout: 0s}';
    const { main } = read(`watchdogs: {main_thread_watchdog: ${off}}`);
    expect(main).toEqual({ ...DEFAULTS, missMs: 0, megamissMs: 0 });
    expect([lookIntervalMs(main), beatIntervalMs(main)]).toEqual([0, 0]);
  });

  const ACTION =
    '{actions: [{event: MISS, config: {name: a, typed_config: {"@type": type.googleapis.com/google.protobuf.Empty}}}]}';
  const NO_ACTIONS =
    'watchdog actions are not supported; remove them (misses are counted and mega misses logged without any)';

  test.each([
    [
      'watchdog: {}\nwatchdogs: {}',
      ['watchdog: watchdog and watchdogs exclude each other; remove watchdog, it is deprecated'],
    ],
    [`watchdog: ${ACTION}`, [`watchdog.actions: ${NO_ACTIONS}`]],
    [
      `watchdogs: {main_thread_watchdog: ${ACTION}, worker_watchdog: ${ACTION}}`,
      [
        `watchdogs.main_thread_watchdog.actions: ${NO_ACTIONS}`,
        `watchdogs.worker_watchdog.actions: ${NO_ACTIONS}`,
      ],
    ],
    [
      'watchdogs: {worker_watchdog: {miss_timeout: -1s, kill_timeout: -0.5s}}',
      [
        'watchdogs.worker_watchdog.miss_timeout: may not be negative; write 0s to turn it off',
        'watchdogs.worker_watchdog.kill_timeout: may not be negative; write 0s to turn it off',
      ],
    ],
  ])('are refused: %s', (yaml, expected) => {
    expect(problems(yaml)).toEqual(expected);
  });
});

describe('how often', () => {
  test.each([
    ['the defaults', {}, 200],
    ['a mega miss that is sooner', { megamissMs: 90 }, 90],
    ['a kill', { killMs: 100 }, 100],
    ['a multikill', { multikillMs: 50, killMs: 100 }, 50],
    ['what is off does not count', { missMs: 0, megamissMs: 0, killMs: 5000 }, 5000],
    ['not more often than timers are good for', { missMs: 1 }, 10],
  ])('a guard looks: %s', (_, some, expected) => {
    const timeouts = { ...DEFAULTS, ...some };
    expect([lookIntervalMs(timeouts), beatIntervalMs(timeouts)]).toEqual([expected, expected / 2]);
  });
});
