import type { Certificate } from '../certificate/certificate.ts';
import { alternativeNames } from '../certificate/details.ts';
import type { AlternativeName, SanKind } from '../certificate/general-name.ts';
import { dnsNameMatch } from './dns-name-match.ts';

/** One of `match_typed_subject_alt_names`. */
export interface SanMatcher {
  readonly kind: SanKind;
  /** The type of an `other` name (`1.3.6.1.4.1.311.20.2.3`). Needed for those, ignored for all others. */
  readonly oid?: string | undefined;
  /** The text of a StringMatcher with `exact`: names of kind `dns` match it by {@link dnsNameMatch}, wildcards and all. */
  readonly exact?: string | undefined;
  readonly matches: (san: string) => boolean;
}

/**
 * What a matcher of the deprecated `match_subject_alt_names` stands for: any of four kinds.
 * @param exact see {@link SanMatcher.exact}
 */
export function untypedSanMatchers(matches: (san: string) => boolean, exact?: string): SanMatcher[] {
  return (['dns', 'uri', 'email', 'ip'] as const).map((kind) => ({ kind, exact, matches }));
}

/** Whether one name of a certificate fits one of the matchers. */
export function matchesAny(certificate: Certificate, matchers: readonly SanMatcher[]): boolean {
  const names = matchable(certificate);
  return matchers.some((matcher) => names.some((name) => matchesOne(name, matcher)));
}

/** Whether one name of a certificate is one of a list (Envoy's override of SANs, `auto_san_validation`). */
export function matchesList(certificate: Certificate, expected: readonly string[]): boolean {
  return matchable(certificate).some(({ kind, text }) =>
    expected.some((one) => (kind === 'dns' ? dnsNameMatch(one, text) : one === text)),
  );
}

/** Names with a NUL, or that are no text, are nobody's. */
function matchable(certificate: Certificate): AlternativeName[] {
  return alternativeNames(certificate).filter((name) => name.matchable);
}

function matchesOne(name: AlternativeName, matcher: SanMatcher): boolean {
  if (name.kind !== matcher.kind) return false;
  if (name.kind === 'other' && name.oid !== matcher.oid) return false;
  return name.kind === 'dns' && matcher.exact !== undefined
    ? dnsNameMatch(matcher.exact, name.text)
    : matcher.matches(name.text);
}
