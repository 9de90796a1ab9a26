import type { Host, MetadataValue } from '@dragoman/core';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { it } from 'vitest';
import { type Fields, host, Scene } from './scene.ts';

const KEYS = ['a', 'b', 'c'];
const value = fc.constantFrom<MetadataValue>('x', 'y', 1, true, null, [1], ['x', 'y'], { z: 1 });
const fields = fc.dictionary(fc.constantFrom(...KEYS), value, { noNullPrototype: true });
const selectors = fc.uniqueArray(fc.subarray(KEYS, { minLength: 1 }), { selector: String, maxLength: 4 });

/** Looks at every host and selector. */
function naive(
  hosts: readonly Host[],
  all: readonly string[][],
  criteria: Fields,
  listAsAny: boolean,
): Set<Host> {
  const wanted = Object.keys(criteria).sort();
  if (!all.some((keys) => isDeepStrictEqual([...keys].sort(), wanted))) return new Set(hosts);
  const has = (own: MetadataValue, asked: MetadataValue): boolean =>
    listAsAny && Array.isArray(own)
      ? own.some((one) => isDeepStrictEqual(one, asked))
      : isDeepStrictEqual(own, asked);
  const found = hosts.filter((one) => {
    const own = one.metadata.get('envoy.lb') ?? {};
    return wanted.every((key) => Object.hasOwn(own, key) && has(own[key], criteria[key]));
  });
  return new Set(found.length === 0 ? hosts : found);
}

it('finds what a look at every host finds, after every update', () => {
  fc.assert(
    fc.property(
      selectors,
      fc.boolean(),
      fc.array(fc.array(fields, { maxLength: 8 }), { minLength: 1, maxLength: 3 }),
      fc.array(fields, { minLength: 1, maxLength: 6 }),
      (all, listAsAny, rounds, requests) => {
        const scene = new Scene({
          fallback_policy: 'ANY_ENDPOINT',
          list_as_any: listAsAny,
          subset_selectors: all.map((keys) => ({ keys })),
        });
        const pool = Array.from({ length: 8 }, (_, index) => host(`${index}`));
        for (const round of rounds) {
          // The same hosts, with other metadata.
          const hosts = round.map((own, index) =>
            Object.assign(pool[index], { metadata: new Map([['envoy.lb', own]]) }),
          );
          scene.update(hosts);
          for (const criteria of requests)
            if (!isDeepStrictEqual(scene.over(criteria, 8), naive(hosts, all, criteria, listAsAny)))
              return false;
          if (scene.count('created') - scene.count('removed') !== scene.count('active')) return false;
        }
        return true;
      },
    ),
    { numRuns: 300 },
  );
});
