import { HealthFlag } from '@dragoman/core';
import type { UpstreamHost } from './hosts/host.ts';

/** Found out by this proxy itself, as in Envoy: what a source says of a host ends no connection. */
const FAILURES = HealthFlag.failed_active_hc | HealthFlag.failed_outlier_check;

/** Notices which hosts of a cluster have just failed. */
export class FailedHosts {
  private known = new Map<UpstreamHost, number>();

  /** Takes the hosts after an update. @returns those that have failed a check that they passed before */
  update(hosts: readonly UpstreamHost[]): readonly UpstreamHost[] {
    const failed = new Map<UpstreamHost, number>();
    const news: UpstreamHost[] = [];
    for (const host of hosts) {
      const flags = host.healthFlags & FAILURES;
      if (flags === 0) continue;
      failed.set(host, flags);
      if ((flags & ~(this.known.get(host) ?? 0)) !== 0) news.push(host);
    }
    this.known = failed;
    return news;
  }
}
