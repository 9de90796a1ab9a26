import type { Host } from '@dragoman/core';
import type { Subset } from './subsets.ts';

/** What is known of a host of one priority: the subsets it is in, and what they were found by. */
export class HostRecord {
  subsets: readonly Subset[] = [];
  private metadata: Host['metadata'] | undefined = undefined;
  private weight = 0;
  private hostname = '';
  private address: Host['address'] | undefined = undefined;
  private healthySince = 0;
  /** Number of the update that listed it last. */
  seen = 0;

  /**
   * Looks at the host anew: it is the same object while an update changes what it says.
   *
   * @returns whether something that a picker may go by has changed. Its health is not looked at: the lists of the set tell that
   */
  refresh(host: Host, subsetsOf: (host: Host) => readonly Subset[]): boolean {
    const sameMetadata = host.metadata === this.metadata;
    const same =
      sameMetadata &&
      host.weight === this.weight &&
      host.hostname === this.hostname &&
      host.address === this.address &&
      host.healthySince === this.healthySince;
    if (same) return false;
    if (!sameMetadata) this.subsets = subsetsOf(host);
    this.metadata = host.metadata;
    this.weight = host.weight;
    this.hostname = host.hostname;
    this.address = host.address;
    this.healthySince = host.healthySince;
    return true;
  }
}

/** The records of one priority. */
export class HostRecords {
  private readonly records = new Map<Host, HostRecord>();

  /** @param update its number */
  of(host: Host, update: number): HostRecord {
    let record = this.records.get(host);
    if (record === undefined) {
      record = new HostRecord();
      this.records.set(host, record);
    }
    record.seen = update;
    return record;
  }

  /** Forgets the hosts that this update has not listed. @param listed how many it has */
  sweep(update: number, listed: number): void {
    if (this.records.size === listed) return;
    for (const [host, { seen }] of this.records) if (seen !== update) this.records.delete(host);
  }
}
