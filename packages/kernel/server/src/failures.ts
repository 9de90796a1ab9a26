/** A change of a listener or a cluster that failed. */
export interface ChangeFailure<M> {
  readonly name: string;
  readonly message: M;
  /** What a control plane calls the version that failed; empty where there is none. */
  readonly version: string;
  readonly details: string;
  /** Wall time in ms. */
  readonly at: number;
}

/** Names come from control planes: of more than these the oldest failures are forgotten. */
const MAX_FAILURES = 1000;

/** The last change of each name, where it failed. */
export class Failures<M> implements Iterable<ChangeFailure<M>> {
  private readonly byName = new Map<string, ChangeFailure<M>>();

  note(failure: ChangeFailure<M>): void {
    this.byName.delete(failure.name);
    this.byName.set(failure.name, failure);
    for (const name of this.byName.keys()) {
      if (this.byName.size <= MAX_FAILURES) break;
      this.byName.delete(name);
    }
  }

  forget(name: string): void {
    this.byName.delete(name);
  }

  get(name: string): ChangeFailure<M> | undefined {
    return this.byName.get(name);
  }

  [Symbol.iterator](): Iterator<ChangeFailure<M>> {
    return this.byName.values();
  }
}
