import type { Clock } from '@dragoman/core';

/**
 * The machine's clock with plain Node timers: the supervisor has a handful, and its process stays small without the rest of
 * `@dragoman/core`.
 */
export const machineClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  timer(callback) {
    let handle: NodeJS.Timeout | undefined;
    const timer = {
      enable(delayMs: number) {
        clearTimeout(handle);
        handle = setTimeout(fire, Math.min(delayMs, MAX_DELAY_MS)).unref();
      },
      disable() {
        clearTimeout(handle);
        handle = undefined;
      },
      get enabled() {
        return handle !== undefined;
      },
    };
    function fire() {
      handle = undefined;
      callback();
    }
    return timer;
  },
};

const MAX_DELAY_MS = 2 ** 31 - 1;
