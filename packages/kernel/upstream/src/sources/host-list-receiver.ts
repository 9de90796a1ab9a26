import type { EndpointData, HostListUpdate, LocalityEndpoints } from '@dragoman/core';
import { type EndpointMetadata, fromWire, readEndpoint } from './host-list-columns.ts';
import {
  AMEND,
  flatEndpoints,
  type HostListMessage,
  KEEP,
  type Runs,
  unpackContent,
  type WireGroup,
  type WireList,
} from './host-list-message.ts';

const NOTHING: HostListUpdate = { localities: [] };

/** The host lists of one cluster, on a worker, made of a {@link HostListPublisher}'s messages. */
export class HostListReceiver {
  private list: HostListUpdate = NOTHING;
  private version = 0;

  /**
   * The list that was published. What did not change (endpoints, localities, whole groups) are the same objects as in the list before.
   *
   * @throws Error when the message is a change of another list than the one that is here, which stays as it is: ask for the whole list
   */
  receive({ version, base, content, outcomes }: HostListMessage): HostListUpdate {
    if (base !== undefined && base !== this.version)
      throw new Error(
        `host list version ${version} is a change of version ${base}, but here is ${this.version === 0 ? 'none' : `version ${this.version}`}: ask for the whole list`,
      );
    const before = base === undefined ? NOTHING : this.list;
    const list = new ListReader(before, JSON.parse(unpackContent(content)) as WireList).read();
    this.list = outcomes === undefined ? list : { ...list, outcomes };
    this.version = version;
    return this.list;
  }
}

class ListReader {
  private readonly before: HostListUpdate;
  private readonly wire: WireList;
  private readonly metadata: readonly EndpointMetadata[];
  private old: readonly EndpointData[] | undefined = undefined;
  private freshRow = 0;
  private amendedRow = 0;

  constructor(before: HostListUpdate, wire: WireList) {
    this.before = before;
    this.wire = wire;
    this.metadata = wire.metadata.map(fromWire);
  }

  read(): HostListUpdate {
    const { groups, policy } = this.wire;
    return { ...policy, localities: groups.map((group) => this.group(group)) };
  }

  private group(wire: WireGroup | number): LocalityEndpoints {
    const { localities } = this.before;
    if (typeof wire === 'number') return localities[wire];
    const { locality, weight, priority, endpoints } = wire;
    return {
      locality: typeof locality === 'number' ? localities[locality].locality : locality,
      weight,
      priority,
      endpoints: typeof endpoints === 'number' ? localities[endpoints].endpoints : this.endpoints(endpoints),
    };
  }

  private endpoints(runs: Runs): EndpointData[] {
    const { wire, metadata } = this;
    const old = (this.old ??= flatEndpoints(this.before));
    const endpoints: EndpointData[] = [];
    for (let run = 0; run < runs.length; run += 3) {
      const kind = runs[run];
      const from = runs[run + 1];
      const end = from + runs[run + 2];
      for (let index = from; index < end; index++) {
        if (kind === KEEP) endpoints.push(old[index]);
        else if (kind === AMEND)
          endpoints.push(readEndpoint(wire.amended, this.amendedRow++, metadata, old[index]));
        else endpoints.push(readEndpoint(wire.fresh, this.freshRow++, metadata, undefined));
      }
    }
    return endpoints;
  }
}
