import { type XdsServerNameMatcher, XdsServerNameMatcherSchema } from '@dragoman/api';
import {
  ConfigError,
  defineMatchTree,
  type MatchInput,
  type MatchOutcome,
  type MatchTree,
  type MatchTreeParts,
  NOT_AVAILABLE,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/** Domain names: exact ones first, then `*.` and a suffix, the longest first, then `*`. Case counts. */
export const serverNameTree = defineMatchTree({
  name: 'envoy.matching.custom_matchers.domain_matcher',
  config: XdsServerNameMatcherSchema,
  create: (config, parts) => new ServerNameTree(config, parts),
});

class ServerNameTree<D, A> implements MatchTree<D, A> {
  private readonly input: MatchInput<D>;
  private readonly onNoMatch: MatchTree<D, A>;
  private readonly exact = new Map<string, MatchTree<D, A>>();
  /** By what stands behind `*.`. */
  private readonly suffixes = new Map<string, MatchTree<D, A>>();
  private rest: MatchTree<D, A> | undefined = undefined;

  constructor(config: XdsServerNameMatcher, parts: MatchTreeParts<D, A>) {
    this.input = parts.input;
    this.onNoMatch = parts.onNoMatch;
    const seen = new Set<string>();
    config.domainMatchers.forEach(({ domains, onMatch }, i) => {
      const at = `domain_matchers[${i}]`;
      if (domains.length === 0) throw ConfigError.at(`${at}.domains`, 'needs one domain at least');
      const tree = parts.onMatch(onMatch, `${at}.on_match`);
      domains.forEach((domain, d) => {
        this.add(domain, tree, `${at}.domains[${d}]`, seen);
      });
    });
  }

  match(data: D, onSkipped?: (action: A) => void): MatchOutcome<A> {
    const value = this.input.get(data);
    // A part of a name says nothing.
    if (value === NOT_AVAILABLE || this.input.isPartial?.(data) === true) return NOT_AVAILABLE;
    if (typeof value === 'string' && value !== '') {
      const outcome = this.find(value, data, onSkipped);
      if (outcome !== undefined) return outcome;
    }
    return this.onNoMatch.match(data, onSkipped);
  }

  private find(name: string, data: D, onSkipped: ((action: A) => void) | undefined): MatchOutcome<A> {
    let outcome = this.exact.get(name)?.match(data, onSkipped);
    if (this.suffixes.size > 0) {
      for (let dot = name.indexOf('.'); dot >= 0 && outcome === undefined; dot = name.indexOf('.', dot + 1))
        outcome = this.suffixes.get(name.slice(dot + 1))?.match(data, onSkipped);
    }
    return outcome ?? this.rest?.match(data, onSkipped);
  }

  private add(domain: string, tree: MatchTree<D, A>, path: string, seen: Set<string>): void {
    if (seen.has(domain)) throw ConfigError.at(path, `"${domain}" is there already; domains must be unique`);
    seen.add(domain);
    if (domain === '') throw ConfigError.at(path, 'a domain may not be empty');
    const star = domain.lastIndexOf('*');
    if (domain === '*') {
      this.rest = tree;
    } else if (star < 0) {
      this.exact.set(utf8Bytes(domain), tree);
    } else if (star === 0 && domain.startsWith('*.') && domain.length > 2) {
      this.suffixes.set(utf8Bytes(domain.slice(2)), tree);
    } else {
      throw ConfigError.at(
        path,
        `"${domain}": a "*" stands alone or for the first labels, as in *.example.com`,
      );
    }
  }
}
