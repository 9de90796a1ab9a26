import { expect, test } from 'vitest';
import { findCycles } from '../src/layers/cycles.mjs';

const graph = (edges: Record<string, string>) =>
  new Map(Object.entries(edges).map(([node, targets]) => [node, targets.split('').filter(Boolean)]));

test.each([
  ['no edges', { a: '', b: '' }, []],
  ['a diamond', { a: 'bc', b: 'd', c: 'd', d: '' }, []],
  ['itself', { a: 'a' }, ['aa']],
  ['a pair', { a: 'b', b: 'a' }, ['aba']],
  ['two circles', { a: 'b', b: 'a', c: 'd', d: 'ce', e: '' }, ['aba', 'cdc']],
  ['the shortest way round', { a: 'bd', b: 'c', c: 'd', d: 'a' }, ['ada']],
  ['unknown targets', { a: 'z' }, []],
])('%s', (_name, edges, expected) => {
  const found = findCycles(graph(edges as Record<string, string>)).map((cycle: string[]) => cycle.join(''));
  expect(found.sort()).toEqual(expected);
});

test('ten thousand in a row do not overflow the stack', () => {
  const nodes = Array.from({ length: 10_000 }, (_, index) => `n${index}`);
  const edges = new Map(
    nodes.map((node, index) => [node, index + 1 < nodes.length ? [nodes[index + 1]] : [nodes[0]]]),
  );
  expect(findCycles(edges)).toHaveLength(1);
});
