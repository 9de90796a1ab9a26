/** One part of a subscription: the names that one source has. */
export interface Part {
  setNames(names: readonly string[]): void;
  stop(): void;
}
