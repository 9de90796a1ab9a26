import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LIST_UP_TO, PathList } from '../src/routes/path-list.ts';
import { NO_ROUTE, PathTrie, TrieHits, type TrieKind } from '../src/routes/path-trie.ts';

/** What a walk has found: the guarded routes before the first free one, and that one. */
function found(paths: PathList | PathTrie, path: string, end: number): number[] {
  const hits = new TrieHits();
  hits.reset();
  paths.walk(path, end, hits);
  const all: number[] = [];
  for (let index = hits.next(); index !== NO_ROUTE; index = hits.next()) all.push(index);
  return hits.best === NO_ROUTE ? all : [...all, hits.best];
}

const piece = fc
  .array(fc.constantFrom('a', 'b', '/', 'ab'), { maxLength: 5 })
  .map((parts) => `/${parts.join('')}`);
const kind = fc.constantFrom<TrieKind>('exact', 'prefix', 'separated');

it('a list of paths finds what a trie finds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ path: fc.oneof(piece, fc.constant('')), kind, guarded: fc.boolean() }), {
        maxLength: LIST_UP_TO,
      }),
      fc.array(piece, { minLength: 1, maxLength: 20 }),
      (routes, paths) => {
        const listed = routes.map((route, index) => ({ ...route, index }));
        const list = new PathList(listed);
        const trie = new PathTrie();
        for (const { path, kind: of, index, guarded } of listed) trie.add(path, of, index, guarded);
        for (const path of paths)
          for (const end of [path.length, Math.max(1, path.length - 2)])
            expect(found(list, path, end)).toEqual(found(trie, path, end));
      },
    ),
  );
});
