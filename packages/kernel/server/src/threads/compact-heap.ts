import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type CollectGarbage = (options: {
  readonly type: 'major';
  readonly execution: 'sync';
  readonly flavor: 'last-resort';
}) => void;

/** Before threads start: lets them {@link compactHeap}. The flag is the process's, and acts on contexts that are made after it. */
export function allowCompaction(): void {
  setFlagsFromString('--expose-gc');
}

/**
 * Collects what loading the code and compiling the config have left behind, and gives the pages back. Without it a thread that has
 * nothing to do yet keeps them for good: 35 MB of resident memory instead of 20 (measured). Takes 20 to 50 ms.
 */
export function compactHeap(): void {
  const { gc } = globalThis as { readonly gc?: CollectGarbage };
  // The main thread's own context is older than the flag.
  const collect = gc ?? (runInNewContext('globalThis.gc') as CollectGarbage | undefined);
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
