/** One layer of the runtime. Its values are replaced as a whole, but for those of the admin layer. */
export interface RuntimeLayer {
  readonly name: string;
  readonly kind: 'static' | 'admin' | 'disk' | 'rtds';
  readonly values: ReadonlyMap<string, string>;
  /** False: the layer counts for nothing, and is not shown: a folder that is not there, or was never read without an error. */
  readonly active: boolean;
}

export const NO_VALUES: ReadonlyMap<string, string> = new Map();
