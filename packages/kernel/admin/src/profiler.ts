import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';

/** V8's two profilers of the thread that the admin interface runs on. Results are files that Chrome's DevTools open. */
export class Profiler {
  #cpu: Session | undefined;
  #heap: Session | undefined;

  get cpuRunning(): boolean {
    return this.#cpu !== undefined;
  }

  get heapRunning(): boolean {
    return this.#heap !== undefined;
  }

  async startCpu(): Promise<void> {
    this.#cpu = await start('Profiler.enable', 'Profiler.start');
  }

  /** Writes a `.cpuprofile` to `path`. @throws Error when it cannot be written */
  async stopCpu(path: string): Promise<void> {
    const session = this.#cpu;
    this.#cpu = undefined;
    if (session !== undefined) await finish(session, 'Profiler.stop', path);
  }

  /** Samples allocations, one each 32 KiB. */
  async startHeap(): Promise<void> {
    this.#heap = await start('HeapProfiler.enable', 'HeapProfiler.startSampling');
  }

  /** Writes a `.heapprofile` to `path`. @throws Error when it cannot be written */
  async stopHeap(path: string): Promise<void> {
    const session = this.#heap;
    this.#heap = undefined;
    if (session !== undefined) await finish(session, 'HeapProfiler.stopSampling', path);
  }
}

async function start(...methods: readonly string[]): Promise<Session> {
  const session = new Session();
  session.connect();
  try {
    for (const method of methods) await post(session, method);
  } catch (error) {
    session.disconnect();
    throw error;
  }
  return session;
}

async function finish(session: Session, method: string, path: string): Promise<void> {
  try {
    const { profile } = (await post(session, method)) as { profile: unknown };
    // Profiles name files and functions of ours, and nothing else: readable by the owner alone all the same.
    await writeFile(path, JSON.stringify(profile), { mode: 0o600 });
  } finally {
    session.disconnect();
  }
}

/** The typings know each method by name; ours come as values. */
function post(session: Session, method: string): Promise<unknown> {
  return (session.post as (name: string) => Promise<unknown>).call(session, method);
}
