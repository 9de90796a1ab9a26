import { eventually } from './wait.ts';

/** What keeps a process busy or its memory full; everything else that Node lists comes and goes by itself. */
const COUNTED = new Set([
  'TCPSocketWrap',
  'TCPServerWrap',
  'TCPConnectWrap',
  'PipeWrap',
  'PipeServerWrap',
  'PipeConnectWrap',
  'TLSWrap',
  'UDPWrap',
  'Timeout',
  'Immediate',
  'ProcessWrap',
  'MessagePort',
  'Worker',
  'GetAddrInfoReqWrap',
  'QueryReqWrap',
  'FSEventWrap',
  'StatWatcher',
]);

/**
 * Notes the sockets, servers, timers and workers that are open, so that a test can tell afterwards what it left behind.
 * Node lists only what keeps the process alive: unreferenced timers are not seen.
 *
 *     const leaks = trackLeaks();
 *     …
 *     await leaks.expectNone();
 */
export function trackLeaks(): LeakTracker {
  return new LeakTracker(count());
}

/** Made by {@link trackLeaks}. */
export class LeakTracker {
  private readonly before: ReadonlyMap<string, number>;

  /** @internal */
  constructor(before: ReadonlyMap<string, number>) {
    this.before = before;
  }

  /** What is open now and was not before: `['2 TCPSocketWrap']`. */
  leaked(): string[] {
    const found: string[] = [];
    for (const [type, now] of count()) {
      const more = now - (this.before.get(type) ?? 0);
      if (more > 0) found.push(`${more} ${type}`);
    }
    return found.sort();
  }

  /**
   * Waits for what is being closed to be gone.
   * @param patienceMs default 2000
   * @throws Error that names what is left
   */
  expectNone(patienceMs = 2000): Promise<void> {
    // The wait itself uses one timer, which has fired while this looks.
    return eventually(() => {
      const left = this.leaked();
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
    }, patienceMs);
  }
}

/**
 * Runs `body` and fails when it leaves sockets, servers, timers or workers behind.
 * @returns what `body` returned
 */
export async function expectNoLeaks<T>(body: () => T | Promise<T>): Promise<T> {
  const leaks = trackLeaks();
  const result = await body();
  await leaks.expectNone();
  return result;
}

function count(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (COUNTED.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}
