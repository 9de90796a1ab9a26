import type { SubClusterOutcome } from '@dragoman/core';

/** What a worker may ask main. Arguments and answers are plain data; nothing rejects. */
export interface WorkerQuestions {
  /** There is to be such a sub-cluster; if there is one, it is used. */
  subCluster(parent: string, name: string): Promise<SubClusterOutcome>;
}

export type QuestionName = keyof WorkerQuestions;
