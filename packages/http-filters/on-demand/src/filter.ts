import { ClusterSchema } from '@dragoman/api';
import type {
  Cancellable,
  Clock,
  ClusterManager,
  DynamicResources,
  HttpFilter,
  HttpStream,
  RandomSource,
  RequestHeaders,
  Timer,
} from '@dragoman/core';
import { utf8Text } from '@dragoman/matching';
import type { ClusterDemand, Options } from './config.ts';

/** What all streams of one place in a config share. */
export interface Shared {
  readonly options: Options;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly clusters: ClusterManager;
  readonly resources: DynamicResources;
}

/** Holds a request until what it needs has come, or it is known that it will not: then it goes on as it is. */
export class OnDemandFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private waiting: Cancellable | undefined = undefined;
  private timer: Timer | undefined = undefined;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders): 'pause' | undefined {
    const { stream } = this;
    if (stream.route !== undefined) return this.waitForCluster(headers) ? 'pause' : undefined;
    this.waiting = stream.demandRoute((found) => this.onRoute(found));
    return this.waiting === undefined ? undefined : 'pause';
  }

  onComplete(): void {
    this.stopWaiting();
  }

  private onRoute(found: boolean): void {
    this.waiting = undefined;
    // Every filter then is as the route wants it. This one comes again, and looks for the cluster.
    if (found && this.stream.startAnew()) return;
    if (!found || !this.waitForCluster(this.stream.requestHeaders)) this.stream.resumeRequest();
  }

  /** Whether the request has to wait. */
  private waitForCluster(headers: RequestHeaders): boolean {
    const demand = (this.stream.perRouteConfig<Options>() ?? this.shared.options).clusters;
    const action = this.stream.route?.action;
    if (demand === undefined || action?.kind !== 'forward') return false;
    const { clusters, random } = this.shared;
    const name = action.clusterName(headers, random.next());
    if (name === '' || clusters.get(name) !== undefined) return false;
    this.demandCluster(utf8Text(name), demand);
    return true;
  }

  private demandCluster(name: string, { source, timeoutMs }: ClusterDemand): void {
    const { clock, resources } = this.shared;
    const goOn = () => {
      this.stopWaiting();
      // The router says what it has to when there is no cluster.
      this.stream.resumeRequest();
    };
    this.timer = clock.timer(goOn);
    this.timer.enable(timeoutMs);
    this.waiting = resources.demand({ type: ClusterSchema, source, name }, goOn);
  }

  private stopWaiting(): void {
    this.waiting?.cancel();
    this.waiting = undefined;
    this.timer?.disable();
    this.timer = undefined;
  }
}
