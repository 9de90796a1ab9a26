import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { LoadResult, Said, Told } from './paced-load.ts';

/** Clients and upstreams in a process of their own: what keeps this one busy does not keep them waiting. */
export class LoadProcess {
  /** On every address of 127.0.0.0/8. */
  readonly upstreamPort: number;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, upstreamPort: number) {
    this.child = child;
    this.upstreamPort = upstreamPort;
  }

  static async start(): Promise<LoadProcess> {
    const child = fork(new URL('./paced-load.ts', import.meta.url), { execArgv: [] });
    const { upstreamPort } = await heard<Extract<Said, { readonly upstreamPort: number }>>(child);
    return new LoadProcess(child, upstreamPort);
  }

  /** One at a time. */
  async request(told: Told): Promise<LoadResult> {
    const result = heard<LoadResult>(this.child);
    this.child.send(told);
    return result;
  }

  async stop(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.disconnect();
    await gone;
  }
}

async function heard<T>(child: ChildProcess): Promise<T> {
  const [said] = (await once(child, 'message')) as [T];
  return said;
}
