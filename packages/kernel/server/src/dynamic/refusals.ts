import { ConfigError, type ConfigProblem, locatedIn } from '@dragoman/core';

/** What is wrong with the resources of one update: each is refused for itself. */
export class Refusals {
  private readonly problems: ConfigProblem[] = [];
  private readonly refused = new Set<string>();

  get count(): number {
    return this.refused.size;
  }

  /** @param name of the resource */
  has(name: string): boolean {
    return this.refused.has(name);
  }

  /** @param name of the resource */
  try(name: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.add(name, error);
    }
  }

  /** @throws what is no ConfigError */
  add(name: string, error: unknown): void {
    if (!(error instanceof ConfigError)) throw error;
    this.refused.add(name);
    this.problems.push(...locatedIn(name, error.problems));
  }

  throwIfAny(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems);
  }
}
