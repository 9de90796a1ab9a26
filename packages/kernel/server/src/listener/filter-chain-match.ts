import { type CidrRange, type FilterChainMatch, FilterChainMatchSchema } from '@dragoman/api';
import { CidrTable } from '@dragoman/client-address';
import { type Address, atPath, ConfigError, type ConnectionInfo, refuseUnsupported } from '@dragoman/core';
import type { FilterState } from '@dragoman/matching';

/** Finds the filter chain of a connection. */
export interface FilterChains<T> {
  /** Undefined when no chain takes it and there is no default. */
  find(info: ConnectionInfo, filterState: FilterState): T | undefined;
}

/** How well a chain fits in one respect: −1 not at all, 0 because it says nothing, else the larger the more specific. */
type Criterion = (info: ConnectionInfo) => number;

const SUPPORTED = new Set([
  'destination_port',
  'prefix_ranges',
  'server_names',
  'transport_protocol',
  'application_protocols',
  'direct_source_prefix_ranges',
  'source_type',
  'source_prefix_ranges',
  'source_ports',
]);

const ANY: Criterion = () => 0;

/** In Envoy's order: an earlier one decides before a later one is looked at. */
const CRITERIA: readonly {
  /** Of FilterChainMatch. */
  readonly field: string;
  readonly make: (match: FilterChainMatch) => Criterion;
}[] = [
  {
    field: 'destination_port',
    make: ({ destinationPort }) =>
      destinationPort === undefined ? ANY : (info) => (info.localAddress.port === destinationPort ? 1 : -1),
  },
  {
    field: 'prefix_ranges',
    make: ({ prefixRanges }) => ranges(prefixRanges, 'prefix_ranges', (info) => info.localAddress),
  },
  { field: 'server_names', make: ({ serverNames }) => names(serverNames) },
  {
    field: 'transport_protocol',
    make: ({ transportProtocol }) =>
      transportProtocol === ''
        ? ANY
        : (info) =>
            (info.transportProtocol === '' ? 'raw_buffer' : info.transportProtocol) === transportProtocol
              ? 1
              : -1,
  },
  {
    field: 'application_protocols',
    make: ({ applicationProtocols }) =>
      applicationProtocols.length === 0
        ? ANY
        : (info) => (info.applicationProtocols.some((name) => applicationProtocols.includes(name)) ? 1 : -1),
  },
  {
    field: 'direct_source_prefix_ranges',
    make: ({ directSourcePrefixRanges }) =>
      ranges(directSourcePrefixRanges, 'direct_source_prefix_ranges', (info) => info.directRemoteAddress),
  },
  { field: 'source_type', make: ({ sourceType }) => sourceTypes(sourceType) },
  {
    field: 'source_prefix_ranges',
    make: ({ sourcePrefixRanges }) =>
      ranges(sourcePrefixRanges, 'source_prefix_ranges', (info) => info.remoteAddress),
  },
  {
    field: 'source_ports',
    make: ({ sourcePorts }) =>
      sourcePorts.length === 0 ? ANY : (info) => (sourcePorts.includes(info.remoteAddress.port) ? 1 : -1),
  },
];

/**
 * Finds the filter chain of a connection: criterion by criterion the chains that fit best stay, and a choice once made
 * is not taken back, as in Envoy.
 */
export class FilterChainMatcher<T> implements FilterChains<T> {
  private readonly chains: readonly { readonly chain: T; readonly criteria: readonly Criterion[] }[];
  private readonly fallback: T | undefined;
  /** A single chain that takes everything: nothing to look at. */
  private readonly only: T | undefined;

  /**
   * @param chains each with its match; a path for errors comes with it
   * @throws ConfigError when two chains have the same match, or a range is none
   */
  constructor(
    chains: readonly {
      readonly match: FilterChainMatch | undefined;
      readonly chain: T;
      readonly path: string;
    }[],
    fallback: T | undefined,
  ) {
    const seen = new Map<string, string>();
    this.chains = chains.map(({ match, chain, path }) => {
      if (match !== undefined)
        refuseUnsupported(match, FilterChainMatchSchema, SUPPORTED, `${path}.filter_chain_match`);
      const key = match === undefined ? '' : describe(match);
      const other = seen.get(key);
      if (other !== undefined) {
        throw ConfigError.at(
          `${path}.filter_chain_match`,
          `${other} has the same match: only one of them could ever be chosen`,
        );
      }
      seen.set(key, path);
      return { chain, criteria: match === undefined ? CRITERIA.map(() => ANY) : compile(match, path) };
    });
    this.fallback = fallback;
    this.only = chains.length === 1 && chains[0]?.match === undefined ? chains[0].chain : undefined;
  }

  find(info: ConnectionInfo): T | undefined {
    if (this.only !== undefined) return this.only;
    let left = this.chains;
    for (let i = 0; i < CRITERIA.length && left.length > 0; i++) {
      const scores = left.map(({ criteria }) => (criteria[i] as Criterion)(info));
      const best = Math.max(...scores);
      if (best < 0) return this.fallback;
      left = left.filter((_, j) => scores[j] === best);
    }
    return left[0]?.chain ?? this.fallback;
  }

  /** For each chain but the one that {@link find} gives, the field that decided against it. For tools: slower than `find`. */
  passed(
    info: ConnectionInfo,
  ): readonly { readonly chain: T; readonly field: string; readonly fits: boolean }[] {
    const passed: { chain: T; field: string; fits: boolean }[] = [];
    let left = this.chains;
    CRITERIA.forEach(({ field }, i) => {
      const scores = left.map(({ criteria }) => (criteria[i] as Criterion)(info));
      const best = Math.max(0, ...scores);
      left.forEach(({ chain }, j) => {
        const score = scores[j] as number;
        if (score < best) passed.push({ chain, field, fits: score >= 0 });
      });
      left = left.filter((_, j) => scores[j] === best);
    });
    return passed;
  }
}

function compile(match: FilterChainMatch, path: string): Criterion[] {
  try {
    return CRITERIA.map(({ make }) => make(match));
  } catch (error) {
    throw error instanceof ConfigError ? error.within(`${path}.filter_chain_match`) : error;
  }
}

/** The same text for the same match. */
function describe(match: FilterChainMatch): string {
  const { $typeName, $unknown, ...fields } = match as FilterChainMatch & { $unknown?: unknown };
  return JSON.stringify(fields, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
}

function ranges(
  list: readonly CidrRange[],
  field: string,
  address: (info: ConnectionInfo) => Address,
): Criterion {
  if (list.length === 0) return ANY;
  const table = new CidrTable<number>();
  list.forEach((range, i) => {
    // A /0 that is written down is more specific than nothing.
    atPath(`${field}[${i}]`, () => table.add(range, (range.prefixLen ?? 0) + 1));
  });
  return (info) => table.find(address(info).ip)?.[0] ?? -1;
}

/** An exact name beats a wildcard, a longer wildcard a shorter one. */
function names(list: readonly string[]): Criterion {
  if (list.length === 0) return ANY;
  const exact = new Set<string>();
  const suffixes: string[] = [];
  list.forEach((name, i) => {
    if (name.startsWith('*.')) suffixes.push(name.slice(1).toLowerCase());
    else if (name.includes('*'))
      throw ConfigError.at(
        `server_names[${i}]`,
        `"${name}": a wildcard may only stand for the first label, as in *.example.com`,
      );
    else exact.add(name.toLowerCase());
  });
  return (info) => {
    const name = info.requestedServerName.toLowerCase();
    if (exact.has(name)) return Number.MAX_SAFE_INTEGER;
    let best = -1;
    for (const suffix of suffixes) if (suffix.length > best && name.endsWith(suffix)) best = suffix.length;
    return best;
  };
}

/** 1: SAME_IP_OR_LOOPBACK, 2: EXTERNAL. */
function sourceTypes(type: number): Criterion {
  if (type === 0) return ANY;
  return (info) => {
    const { remoteAddress, localAddress } = info;
    const local =
      remoteAddress.family === 'pipe' ||
      remoteAddress.ip === localAddress.ip ||
      remoteAddress.ip === '::1' ||
      remoteAddress.ip.startsWith('127.');
    return local === (type === 1) ? 1 : -1;
  };
}
