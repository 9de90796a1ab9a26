import type { Maglev } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** Envoy: DefaultTableSize; section 5.3 of the paper. */
const DEFAULT_TABLE_SIZE = 65537;
/** The largest prime that a config may name. */
const MAX_TABLE_SIZE = 5_000_011;

/**
 * Entries of the table: a prime, so that every step of a host's permutation leads through the whole table.
 * @throws ConfigError when `table_size` is none
 */
export function readTableSize({ tableSize }: Maglev): number {
  const size = Number(tableSize ?? DEFAULT_TABLE_SIZE);
  if (size > MAX_TABLE_SIZE)
    throw ConfigError.at('table_size', `${size} is too large: at most ${MAX_TABLE_SIZE}`);
  if (!isPrime(size))
    throw ConfigError.at(
      'table_size',
      `${size} is not a prime number; take ${nearestPrimes(size).join(' or ')}`,
    );
  return size;
}

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return true;
}

/** The prime below, where there is one, and the one above. */
function nearestPrimes(number: number): number[] {
  let below = number;
  while (below > 1 && !isPrime(below)) below--;
  let above = number;
  while (!isPrime(above)) above++;
  return [below, above].filter((prime) => prime > 1);
}
