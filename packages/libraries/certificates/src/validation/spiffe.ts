import { ConfigError, joinPath } from '@dragoman/core';
import type { Certificate } from '../certificate/certificate.ts';
import { alternativeNames } from '../certificate/details.ts';
import { KeyUsageBit } from '../certificate/extensions.ts';
import { peerFailure, type VerificationFailure } from './failure.ts';
import { findPath } from './path-search.ts';
import { RevocationLists, type RevocationRules } from './revocation.ts';
import { matchesAny, type SanMatcher } from './san-matcher.ts';
import { TrustStore } from './trust-store.ts';
import { type PeerValidator, readChain, type VerifyMode, type VerifyResult } from './validator.ts';
import { readTrustedCa } from './validator-config.ts';

/** `extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig`, with its files read, and what counts of the rest. */
export interface SpiffeConfig {
  readonly trustDomains: readonly {
    /** `example.org`, without `spiffe://`. */
    readonly name: string;
    /** PEM of the authorities of the domain, and of CRLs among them. */
    readonly trustBundle: string | Buffer;
  }[];
  /** Only those of kind `uri` count. */
  readonly subjectAltNames?: readonly SanMatcher[] | undefined;
  readonly allowExpiredCertificate?: boolean | undefined;
}

interface TrustDomain {
  readonly store: TrustStore;
  readonly revocation: RevocationRules | undefined;
}

/** BoringSSL's own limit, with leaf and root. */
const MAX_PATH_LENGTH = 102;

/**
 * `envoy.tls.cert_validator.spiffe`: an X.509-SVID is checked against the bundle of the trust domain that its URI names, and against no
 * other. Chains have to end in a self-signed authority; extended key usage is not looked at.
 */
export class SpiffeValidator implements PeerValidator {
  readonly mode: VerifyMode = 'require';
  readonly authorities: readonly Certificate[];
  readonly #domains = new Map<string, TrustDomain>();
  readonly #matchers: readonly SanMatcher[];
  readonly #ignoreTimes: boolean;

  /**
   * @param path of the config, for errors
   * @throws {ConfigError} for a bundle that cannot be read, or two for one domain
   */
  constructor(config: SpiffeConfig, path = '') {
    const authorities: Certificate[] = [];
    for (const [i, { name, trustBundle }] of config.trustDomains.entries()) {
      const at = joinPath(path, `trust_domains[${i}]`);
      if (this.#domains.has(name))
        throw ConfigError.at(
          joinPath(at, 'name'),
          `Multiple trust bundles are given for one trust domain for ${name}`,
        );
      const bundle = readTrustedCa(trustBundle, joinPath(at, 'trust_bundle'));
      authorities.push(...bundle.certificates);
      this.#domains.set(name, {
        store: new TrustStore(bundle.certificates),
        revocation:
          bundle.crls.length === 0 ? undefined : { lists: new RevocationLists(bundle.crls), onlyLeaf: false },
      });
    }
    if (this.#domains.size === 0)
      throw ConfigError.at(joinPath(path, 'trust_domains'), 'needs at least one trust domain');
    this.authorities = authorities;
    this.#matchers = (config.subjectAltNames ?? []).filter(({ kind }) => kind === 'uri');
    this.#ignoreTimes = config.allowExpiredCertificate ?? false;
  }

  verify(chain: readonly Buffer[], nowMs: number): VerifyResult {
    const read = readChain(chain);
    if (!read.ok) return refused(read.failure);
    const [leaf, ...sent] = read.chain as [Certificate, ...Certificate[]];
    if (!isSvid(leaf)) return refused(peerFailure('spiffe_precheck'));
    const domain = this.#domains.get(trustDomainOf(leaf) ?? '');
    if (domain === undefined) return refused(peerFailure('spiffe_trust_domain'));
    const found = findPath(leaf, sent, {
      ...domain,
      purpose: undefined,
      ignoreTimes: this.#ignoreTimes,
      nowMs,
      partial: false,
      maxLength: MAX_PATH_LENGTH,
    });
    if (!found.ok) return refused(found.failure);
    if (this.#matchers.length > 0 && !matchesAny(leaf, this.#matchers))
      return refused(peerFailure('spiffe_san'));
    return { ok: true, validated: true, tolerated: undefined, path: found.path.map(({ der }) => der) };
  }
}

function refused(failure: VerificationFailure): VerifyResult {
  return { ok: false, ...failure };
}

/** A leaf whose key signs neither certificates nor CRLs, and says so. (Envoy takes an absent keyUsage for one with all bits.) */
function isSvid({ known }: Certificate): boolean {
  if (known.basicConstraints?.ca === true || known.keyUsage === undefined) return false;
  return (known.keyUsage & (KeyUsageBit.keyCertSign | KeyUsageBit.crlSign)) === 0;
}

/**
 * The trust domain of the one URI that an SVID has. Envoy takes the first of several; the SVID's own rules refuse those, and so is it
 * done here: what reads the other URIs later would believe a domain that never vouched for them.
 */
function trustDomainOf(leaf: Certificate): string | undefined {
  const uris = alternativeNames(leaf).filter(({ kind }) => kind === 'uri');
  const [uri] = uris;
  if (uri === undefined || uris.length > 1 || !uri.matchable) return undefined;
  return extractTrustDomain(uri.text);
}

/** `example.org` of `spiffe://example.org/workload`; undefined for anything else. */
export function extractTrustDomain(uri: string): string | undefined {
  const prefix = 'spiffe://';
  if (!uri.startsWith(prefix)) return undefined;
  const slash = uri.indexOf('/', prefix.length);
  const domain = slash < 0 ? '' : uri.slice(prefix.length, slash);
  return domain === '' ? undefined : domain;
}
