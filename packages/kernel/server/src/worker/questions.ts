import type { SubClusterOutcome } from '@dragoman/core';

/** A resource that a request needs. */
export interface WantedResource {
  /** Full name of the type. */
  readonly type: string;
  /** An `envoy.config.core.v3.ConfigSource`, serialised. */
  readonly source: Uint8Array;
  readonly name: string;
}

/** What a worker may ask main. Arguments and answers are plain data; nothing rejects. */
export interface WorkerQuestions {
  /** There is to be such a sub-cluster; if there is one, it is used. */
  subCluster(parent: string, name: string): Promise<SubClusterOutcome>;
  /** There is to be such a resource; answered when it is in place, or will not be. */
  resource(wanted: WantedResource): Promise<boolean>;
}

export type QuestionName = keyof WorkerQuestions;
