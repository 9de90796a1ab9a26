import { type ConfigProblem, type DiscoveredResource, resourceOf } from '@dragoman/core';
import { canonicalName } from '@dragoman/xds-sources';

/** What a response, or a part of what is known, still has to do. */
export class Application {
  /** Subscribers that have not decided yet, and one for as long as there are more to ask. */
  outstanding = 1;
  readonly refused: ConfigProblem[] = [];
  /** By canonical name. */
  readonly refusedByName = new Map<string, ConfigProblem[]>();
  /** A subscriber has refused without saying which resource it was. */
  refusedAll = false;
  readonly finish: (application: Application) => void;

  constructor(finish: (application: Application) => void) {
    this.finish = finish;
  }

  /** What was refused of the resource of this canonical name; undefined: nothing. */
  problemsOf(name: string): readonly ConfigProblem[] | undefined {
    return this.refusedAll ? this.refused : this.refusedByName.get(name);
  }

  blame(refused: readonly ConfigProblem[], changed: readonly DiscoveredResource[]): void {
    const names = new Set(changed.map(({ name }) => name));
    for (const problem of refused) {
      this.refused.push(problem);
      const name = resourceOf(problem, (one) => names.has(one));
      if (name === undefined) {
        this.refusedAll = true;
        continue;
      }
      const canonical = canonicalName(name);
      const others = this.refusedByName.get(canonical);
      if (others === undefined) this.refusedByName.set(canonical, [problem]);
      else others.push(problem);
    }
  }
}
