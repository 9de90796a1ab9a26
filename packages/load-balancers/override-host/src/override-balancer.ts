import type {
  Host,
  HostSet,
  LoadBalancer,
  LoadBalancerContext,
  MetadataValue,
  StreamInfo,
} from '@dragoman/core';
import type { MetadataPlace, OverrideOptions } from './config.ts';
import { NAMED_HOSTS, NamedHosts, readNamedHosts } from './named-hosts.ts';

/** Takes the hosts that a request names, one for each try; then those of another balancer. */
export class OverrideBalancer implements LoadBalancer {
  /** Of requests that name no host. */
  readonly peek: LoadBalancer['peek'];
  private readonly options: OverrideOptions;
  private readonly fallback: LoadBalancer;
  /** Every host of every priority, whatever its health. */
  private hosts: ReadonlyMap<string, Host> = new Map();

  constructor(options: OverrideOptions, fallback: LoadBalancer) {
    this.options = options;
    this.fallback = fallback;
    this.peek = fallback.peek && (() => fallback.peek?.());
  }

  update(sets: readonly HostSet[]): void {
    const hosts = new Map<string, Host>();
    for (const set of sets) for (const host of set.hosts) hosts.set(host.address.text, host);
    this.hosts = hosts;
    this.fallback.update(sets);
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const info = context?.info;
    if (context === undefined || info === undefined) return this.fallback.choose(context);
    const host = this.namedHost(context, info) ?? this.fallback.choose(context);
    const { selectedHost } = this.options;
    if (host !== undefined && selectedHost !== undefined) tell(info, selectedHost, host.address.text);
    return host;
  }

  close(): void {
    this.fallback.close?.();
  }

  /** The first of the addresses left that is a host of the cluster. Those before it are not asked for again. */
  private namedHost(context: LoadBalancerContext, info: StreamInfo): Host | undefined {
    const named = this.named(context, info);
    for (let address = named.next(); address !== undefined; address = named.next()) {
      const host = this.hosts.get(address);
      if (host !== undefined) return host;
    }
    return undefined;
  }

  private named(context: LoadBalancerContext, info: StreamInfo): NamedHosts {
    const { filterState } = info;
    const known = filterState.get(NAMED_HOSTS);
    if (known instanceof NamedHosts) return known;
    const named = readNamedHosts(this.options.sources, context);
    filterState.set(NAMED_HOSTS, named);
    return named;
  }
}

/** Puts the address into dynamic metadata. What stood under the first key is replaced. */
function tell({ dynamicMetadata }: StreamInfo, { namespace, path }: MetadataPlace, address: string): void {
  let value: MetadataValue = address;
  for (let depth = path.length - 1; depth > 0; depth--) value = { [path[depth]]: value };
  dynamicMetadata.set(namespace, { ...dynamicMetadata.get(namespace), [path[0]]: value });
}
