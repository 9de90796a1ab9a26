import type { Host, HostSet, LoadBalancer, LoadBalancerContext, MetadataValue } from '@dragoman/core';
import type { Fallback, SubsetOptions } from './config.ts';
import { type Criteria, FALLBACK_LIST, NO_CHANGE } from './criteria.ts';
import { SubsetIndex } from './subset-index.ts';
import type { SubsetStats } from './subset-stats.ts';
import { WholeCluster } from './whole-cluster.ts';

/** Chooses the subset that a request asks for, and lets that choose the host; or goes where the fallbacks say. */
export class SubsetBalancer implements LoadBalancer {
  private readonly options: SubsetOptions;
  private readonly stats: SubsetStats;
  private readonly subsets: SubsetIndex;
  /** Where some fallback goes there. */
  private readonly whole: WholeCluster | undefined;

  /** @param createBalancer makes a balancer with a child policy of its own */
  constructor(options: SubsetOptions, stats: SubsetStats, createBalancer: () => LoadBalancer) {
    this.options = options;
    this.stats = stats;
    const goesTo = (fallback: Fallback): boolean =>
      options.fallback === fallback || options.selectors.some((selector) => selector.fallback === fallback);
    this.subsets = new SubsetIndex(options, stats, createBalancer, goesTo('default'));
    this.whole =
      goesTo('any') || options.panicModeAny
        ? new WholeCluster(createBalancer(), options.localityWeightAware)
        : undefined;
  }

  update(sets: readonly HostSet[]): void {
    this.whole?.update(sets);
    this.subsets.update(sets);
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    const criteria = context?.metadataMatch;
    if (context === undefined || criteria === undefined) return this.fallBack(context);
    if (this.options.fallbackList && Object.hasOwn(criteria, FALLBACK_LIST))
      return this.chooseFromList(context, criteria, criteria[FALLBACK_LIST]);
    return this.chooseFor(context, criteria, undefined);
  }

  close(): void {
    this.whole?.close();
    this.subsets.close();
  }

  /** Tries the entries until there is a host. Each is laid over the other criteria; one that is no struct changes nothing. */
  private chooseFromList(
    context: LoadBalancerContext,
    criteria: Criteria,
    list: MetadataValue,
  ): Host | undefined {
    if (!Array.isArray(list) || list.length === 0) return this.chooseFor(context, criteria, NO_CHANGE);
    for (const entry of list as readonly MetadataValue[]) {
      const host = this.chooseFor(context, criteria, isStruct(entry) ? entry : NO_CHANGE);
      if (host !== undefined) return host;
    }
    return undefined;
  }

  /** @param over laid over the criteria, which are without their list then */
  private chooseFor(
    context: LoadBalancerContext,
    criteria: Criteria,
    over: Criteria | undefined,
  ): Host | undefined {
    let keySet = this.subsets.keySets.select(criteria, over);
    while (keySet !== undefined) {
      const subset = keySet.find(criteria, over);
      if (subset !== undefined) {
        this.stats.selected.inc();
        return subset.choose(context);
      }
      switch (keySet.fallback) {
        case undefined:
          return this.fallBack(context);
        case 'keys':
          keySet = keySet.lesser;
          break;
        default:
          return this.target(keySet.fallback)?.choose(context);
      }
    }
    return this.fallBack(context);
  }

  /** The policy's own fallback: its hosts are counted, and in want of them panic may help out. */
  private fallBack(context: LoadBalancerContext | undefined): Host | undefined {
    const { fallback, panicModeAny } = this.options;
    if (fallback === 'none') return undefined;
    let host = this.target(fallback)?.choose(context);
    if (host !== undefined) {
      this.stats.fallback.inc();
      return host;
    }
    if (!panicModeAny) return undefined;
    host = this.whole?.choose(context);
    if (host !== undefined) this.stats.fallbackPanic.inc();
    return host;
  }

  private target(fallback: Fallback): Pick<LoadBalancer, 'choose'> | undefined {
    if (fallback === 'any') return this.whole;
    return fallback === 'default' ? this.subsets.defaultSubset : undefined;
  }
}

function isStruct(value: MetadataValue): value is Criteria {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
