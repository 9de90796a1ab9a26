import type {
  ClusterBalancerContext,
  Host,
  LoadBalancer,
  LoadBalancerContext,
  OwnHosts,
  Timer,
} from '@dragoman/core';
import type { OriginalDstSettings } from './config.ts';
import { DestinationFinder } from './destination.ts';

interface Destination {
  readonly host: Host;
  /** Chosen since the last sweep. */
  used: boolean;
}

/** Makes a host of each address that connections are meant for, and lets it go when it is not used any more. */
export class OriginalDstBalancer implements LoadBalancer {
  private readonly finder: DestinationFinder;
  private readonly hosts: OwnHosts;
  private readonly cleanupMs: number;
  private readonly timer: Timer;
  private readonly byAddress = new Map<string, Destination>();

  constructor(settings: OriginalDstSettings, { info, hosts, clock }: ClusterBalancerContext) {
    this.finder = new DestinationFinder(settings, info.statsScope.counter('original_dst_host_invalid'));
    this.hosts = hosts;
    this.cleanupMs = settings.cleanupMs;
    this.timer = clock.timer(() => this.sweep());
  }

  /** Nothing is discovered. */
  update(): void {}

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const address = context === undefined ? undefined : this.finder.find(context);
    if (address === undefined) return undefined;
    const { text } = address;
    const known = this.byAddress.get(text);
    if (known !== undefined) {
      known.used = true;
      return known.host;
    }
    if (this.byAddress.size >= MOST_DESTINATIONS) return undefined;
    const host = this.hosts.add({ address: text, hostname: '', weight: 1 });
    this.byAddress.set(text, { host, used: true });
    if (!this.timer.enabled) this.timer.enable(this.cleanupMs);
    return host;
  }

  close(): void {
    this.timer.disable();
  }

  /** A host that was chosen just now may not have its connection yet: it has until the next sweep. */
  private sweep(): void {
    for (const [text, destination] of this.byAddress) {
      if (destination.used || isBusy(destination.host)) {
        destination.used = false;
        continue;
      }
      this.byAddress.delete(text);
      this.hosts.remove(destination.host);
    }
    if (this.byAddress.size > 0) this.timer.enable(this.cleanupMs);
  }
}

/** Destinations at a time, on a worker: where clients name them they could name any number. */
const MOST_DESTINATIONS = 65_536;

function isBusy({ stats, activeRequests }: Host): boolean {
  return activeRequests > 0 || stats.cxActive.value() > 0;
}
