import type { Case } from '../cases.ts';
import type { Child, Cores, Workbench } from '../workbench.ts';

/** What a proxy is to do. */
export interface Target {
  readonly case: Case;
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** Where it forwards to, on 127.0.0.1. */
  readonly upstreamPort: number;
  /** Worker threads or processes that accept. */
  readonly workers: number;
  /** Where it may run. */
  readonly cores: Cores;
}

/** A proxy that can be measured. */
export interface Peer {
  readonly name: string;
  /** What it is and how it is set up, for the notes below the table. */
  readonly about: string;
  /** Measured only when it is asked for. */
  readonly onlyWhenNamed: boolean;
  /** Whether it can have several workers. */
  readonly scales: boolean;
  /** Why it cannot run here, or cannot do this case; undefined when it can. */
  missing(wanted: Case): string | undefined;
  /** Starts it. It may not serve yet when this returns. */
  start(bench: Workbench, target: Target): Promise<Child>;
}
