import type { Counter, StatsScope } from '@dragoman/core';
import { ResponseStats } from './response-stats.ts';

/** Names that a cluster keeps stats for. They come with requests: without a bound they could fill the stats' memory. */
const MAX_NAMES = 100;
/** Bytes. A longer name is passed over, so that it is not kept as a key either. */
const MAX_NAME_LENGTH = 128;

/** The second trees of response stats, which requests name in `x-envoy-upstream-alt-stat-name`. */
export class AlternativeStats {
  private readonly scope: StatsScope;
  private readonly fromZone: string;
  /** By the name as it came. */
  private readonly byName = new Map<string, ResponseStats>();
  private dropped: Counter | undefined = undefined;

  constructor(scope: StatsScope, fromZone: string) {
    this.scope = scope;
    this.fromZone = fromZone;
  }

  /** The tree of `name`; undefined when the name is empty or too long, or there are too many already. */
  of(name: string): ResponseStats | undefined {
    return this.byName.get(name) ?? this.open(name);
  }

  private open(name: string): ResponseStats | undefined {
    if (name === '') return undefined;
    if (name.length > MAX_NAME_LENGTH || this.byName.size >= MAX_NAMES) {
      this.dropped ??= this.scope.counter('upstream_rq_alt_stat_name_dropped');
      this.dropped.inc();
      return undefined;
    }
    const stats = new ResponseStats(this.scope, `${statNameOf(name)}.`, this.fromZone);
    this.byName.set(name, stats);
    return stats;
  }
}

/** A header's value as part of a stat's name: without dots at its ends, and of other characters only those that need no quoting. */
function statNameOf(name: string): string {
  return name.replace(/[^A-Za-z0-9_.-]/g, '_').replace(/^\.+|\.+$/g, (dots) => '_'.repeat(dots.length));
}
