import { MARK } from './arrival.ts';
import type { EndpointData, HostListUpdate } from '@dragoman/core';

/** How many hosts of a list are others than in the one before. */
export type Change = 'ten' | 'all';

const ZONES = 3;
/** The discard port of addresses that are never connected to. */
const NOWHERE = 9;

/**
 * Host lists as a control plane sends them: zones, metadata, all objects new each time. One host, of priority 0, is real and stays:
 * it has the traffic, so that an update is what is measured and not new connections. The `count` others are of priority 1.
 */
export class HostLists {
  private readonly upstreamPort: number;
  /** How often each host has been replaced by another. */
  private readonly generations: Int32Array;
  private number = 0;

  /** @param count up to 65,536 */
  constructor(count: number, upstreamPort: number) {
    this.upstreamPort = upstreamPort;
    this.generations = new Int32Array(count);
  }

  /** The first list, or the one as it is. */
  get current(): HostListUpdate {
    const zones = Array.from({ length: ZONES }, (_, zone) => ({
      locality: { region: 'eu', zone: `zone-${zone}`, subZone: '' },
      weight: 0,
      priority: 1,
      endpoints: this.ofZone(zone),
    }));
    const real = { address: `127.0.0.1:${this.upstreamPort}`, hostname: '', weight: 1 };
    const locality = { region: 'eu', zone: 'here', subZone: '' };
    return { localities: [{ locality, weight: 0, priority: 0, endpoints: [real] }, ...zones] };
  }

  /** The next list. Its first host of priority 1 is always a changed one, and bears {@link marker}. */
  next(change: Change): HostListUpdate {
    this.number++;
    const { length } = this.generations;
    const step = change === 'all' ? 1 : Math.floor(length / 10);
    for (let i = 0; i < length; i += step) this.generations[i]++;
    return this.current;
  }

  /** What tells the last list from all others: the hostname of its first host. */
  get marker(): string {
    return `${MARK}${this.number}`;
  }

  private ofZone(zone: number): EndpointData[] {
    const endpoints: EndpointData[] = [];
    for (let i = zone; i < this.generations.length; i += ZONES) {
      endpoints.push({
        address: `127.${1 + (this.generations[i] % 250)}.${i >> 8}.${i & 255}:${NOWHERE}`,
        hostname: i === 0 ? this.marker : `web-${i}.example.svc`,
        weight: 1,
        metadata: { 'envoy.lb': { version: `v${i & 3}`, canary: (i & 63) === 0 } },
      });
    }
    return endpoints;
  }
}
