import type { CharSet } from './char-set.ts';

/** A position without width. Lines end at `\n` alone. */
export type AssertionKind =
  | 'begin-text'
  | 'end-text'
  | 'begin-line'
  | 'end-line'
  | 'word-boundary'
  | 'not-word-boundary';

/** A parsed pattern; flags and case are resolved, so that every node means the same wherever it stands. */
export type RegexNode =
  | { readonly kind: 'empty' }
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'assertion'; readonly assertion: AssertionKind }
  | { readonly kind: 'concat'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'alternate'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'group'; readonly index: number; readonly item: RegexNode }
  | {
      readonly kind: 'repeat';
      readonly item: RegexNode;
      readonly min: number;
      /** Infinity: no bound. */
      readonly max: number;
      readonly greedy: boolean;
    };

export const EMPTY: RegexNode = { kind: 'empty' };

/** Whether it can match the empty text. @param anywhere wherever it stands: assertions do not count */
export function isNullable(node: RegexNode, anywhere = false): boolean {
  switch (node.kind) {
    case 'empty':
      return true;
    case 'assertion':
      return !anywhere;
    case 'set':
      return false;
    case 'concat':
      return node.items.every((item) => isNullable(item, anywhere));
    case 'alternate':
      return node.items.some((item) => isNullable(item, anywhere));
    case 'group':
      return isNullable(node.item, anywhere);
    case 'repeat':
      return node.min === 0 || isNullable(node.item, anywhere);
  }
}
