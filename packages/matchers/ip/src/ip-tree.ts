import { type XdsIPMatcher, XdsIPMatcherSchema } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  defineMatchTree,
  type MatchInput,
  type MatchOutcome,
  type MatchTree,
  type MatchTreeParts,
  NOT_AVAILABLE,
} from '@dragoman/core';
import { addRanges, CidrTable } from '@dragoman/client-address';

/** What stands behind a network. */
interface Network<D, A> {
  readonly onMatch: MatchTree<D, A>;
  /** Not asked when another one was asked before it. */
  readonly exclusive: boolean;
}

/** Networks of IP addresses: the longest prefix is asked first, then the others that hold the address. */
export const ipTree = defineMatchTree({
  name: 'envoy.matching.custom_matchers.trie_matcher',
  config: XdsIPMatcherSchema,
  create: (config, parts) => new IpTree(config, parts),
});

class IpTree<D, A> implements MatchTree<D, A> {
  private readonly input: MatchInput<D>;
  private readonly networks = new CidrTable<Network<D, A>>();
  private readonly onNoMatch: MatchTree<D, A>;

  constructor(config: XdsIPMatcher, parts: MatchTreeParts<D, A>) {
    this.input = parts.input;
    this.onNoMatch = parts.onNoMatch;
    config.rangeMatchers.forEach(({ ranges, onMatch, exclusive }, i) => {
      const at = `range_matchers[${i}]`;
      if (ranges.length === 0) throw ConfigError.at(`${at}.ranges`, 'needs one range at least');
      const network = { onMatch: parts.onMatch(onMatch, `${at}.on_match`), exclusive };
      atPath(`${at}.ranges`, () => addRanges(this.networks, ranges, network));
    });
  }

  match(data: D, onSkipped?: (action: A) => void): MatchOutcome<A> {
    const value = this.input.get(data);
    // A part of an address says nothing.
    if (value === NOT_AVAILABLE || this.input.isPartial?.(data) === true) return NOT_AVAILABLE;
    const found = typeof value === 'string' ? this.networks.find(value) : undefined;
    if (found !== undefined) {
      for (let i = 0; i < found.length; i++) {
        const { onMatch, exclusive } = found[i] as Network<D, A>;
        if (i > 0 && exclusive) continue;
        const outcome = onMatch.match(data, onSkipped);
        if (outcome !== undefined) return outcome;
      }
    }
    return this.onNoMatch.match(data, onSkipped);
  }
}
