/** How long a test waits for something that should happen before it fails: 5 s. */
export const DEFAULT_PATIENCE_MS = 5000;

/**
 * Fails a promise that does not settle in time. A safety net: a test that passes never waits for it.
 *
 * @param what named in the error
 * @param patienceMs default {@link DEFAULT_PATIENCE_MS}
 */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  patienceMs = DEFAULT_PATIENCE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMs} ms`)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Repeats `attempt` after each turn of the event loop until it neither throws nor returns false. For what has no event of
 * its own, such as a counter on the admin page.
 *
 * @returns what `attempt` returned last
 * @throws what `attempt` threw last, when time is up
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  patienceMs = DEFAULT_PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await attempt();
      if (result !== false) return result;
      failure = new Error('the condition did not come true');
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `not within ${patienceMs} ms: ${failure instanceof Error ? failure.message : failure}`,
        {
          cause: failure,
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
