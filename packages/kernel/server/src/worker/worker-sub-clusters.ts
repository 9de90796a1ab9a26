import type {
  Cancellable,
  Clock,
  Cluster,
  ClusterManager,
  SubClusterOutcome,
  SubClusters,
} from '@dragoman/core';
import type { WorkerQuestions } from './questions.ts';

type Questions = Pick<WorkerQuestions, 'subCluster'>;

/** Main hears of a sub-cluster in use so often in its time to live: it may go sooner by that part of it. */
const REPORTS = 8;

/** Sub-clusters as a worker asks for them. */
export class WorkerSubClusters implements SubClusters {
  private readonly clusters: ClusterManager;
  private readonly clock: Clock;
  private readonly questions: Questions;
  /** When main last heard that it is used. */
  private readonly reported = new WeakMap<Cluster, number>();

  constructor(clusters: ClusterManager, clock: Clock, questions: Questions) {
    this.clusters = clusters;
    this.clock = clock;
    this.questions = questions;
  }

  request(
    parent: string,
    name: string,
    callback: (outcome: SubClusterOutcome) => void,
  ): Cancellable | undefined {
    const known = this.clusters.get(name);
    if (known !== undefined) {
      this.report(parent, name, known);
      return undefined;
    }
    let waiting = true;
    void this.questions.subCluster(parent, name).then((outcome) => {
      if (waiting) callback(outcome);
    });
    return {
      cancel() {
        waiting = false;
      },
    };
  }

  private report(parent: string, name: string, cluster: Cluster): void {
    const ttlMs = this.clusters.get(parent)?.info.subClusterTtlMs ?? 0;
    const now = this.clock.now();
    const last = this.reported.get(cluster);
    if (last !== undefined && now - last < ttlMs / REPORTS) return;
    this.reported.set(cluster, now);
    void this.questions.subCluster(parent, name);
  }
}
