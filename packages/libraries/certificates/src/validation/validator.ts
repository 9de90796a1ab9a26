import { createHash } from 'node:crypto';
import { type Certificate, readCertificate } from '../certificate/certificate.ts';
import {
  chainFailure,
  forLog,
  namesForLog,
  noCertificate,
  peerFailure,
  type VerificationFailure,
} from './failure.ts';
import type { PeerPurpose } from './path-checks.ts';
import { findPath, MAX_SENT_CERTIFICATES, type SearchRules } from './path-search.ts';
import { matchesAny, matchesList, type SanMatcher } from './san-matcher.ts';
import { type CompiledRules, compileRules, type ValidatorConfig } from './validator-config.ts';

export interface VerifyOptions {
  /** What the peer is. */
  readonly peer: PeerPurpose;
  /** Names of which the certificate must have one, in place of `subjectAltNames` (`auto_san_validation`). */
  readonly verifySubjectAltNames?: readonly string[] | undefined;
  /** The SNI that was sent; for `autoSniSanValidation`. */
  readonly serverName?: string | undefined;
}

export type VerifyResult =
  | {
      readonly ok: true;
      /** Envoy's ClientValidationStatus: true when something was checked and held. */
      readonly validated: boolean;
      /** What was wrong and did not matter, because untrusted certificates are accepted. Its counter counts. */
      readonly tolerated: VerificationFailure | undefined;
      /** DER of the path that was found, from the leaf to what is trusted; empty without `trustedCa`. */
      readonly path: readonly Buffer[];
    }
  | ({ readonly ok: false } & VerificationFailure);

/** Whether a peer is asked for a certificate, and whether it has to have one. */
export type VerifyMode = 'none' | 'request' | 'require';

/** Decides whether a peer's certificate is accepted. */
export interface PeerValidator {
  readonly mode: VerifyMode;
  /** What is trusted, for `/certs` and for the names in a CertificateRequest. */
  readonly authorities: readonly Certificate[];
  /**
   * Never throws, whatever the peer sent. All of it is done at once: some 100 µs for each signature of the chain.
   * @param chain DER as the peer sent it, its own first; empty when it sent none, which is always a failure
   * @param nowMs wall time
   */
  verify(chain: readonly Buffer[], nowMs: number, options: VerifyOptions): VerifyResult;
}

/** `envoy.tls.cert_validator.default`. Holds no state but what it was made of. */
export class CertificateValidator implements PeerValidator {
  readonly mode: VerifyMode;
  readonly authorities: readonly Certificate[];
  readonly #rules: CompiledRules;

  /**
   * @param path of the config, for errors
   * @throws {ConfigError} for what cannot be meant
   */
  constructor(config: ValidatorConfig, path = '') {
    this.#rules = compileRules(config, path);
    this.mode = modeOf(this.#rules);
    this.authorities = this.#rules.store?.certificates ?? [];
  }

  verify(chain: readonly Buffer[], nowMs: number, options: VerifyOptions): VerifyResult {
    const read = readChain(chain);
    if (!read.ok) return this.#judge(read.failure, false, []);
    const [leaf, ...sent] = read.chain as [Certificate, ...Certificate[]];
    const { store } = this.#rules;
    let path: readonly Buffer[] = [];
    if (store !== undefined) {
      const found = findPath(leaf, sent, this.#searchRules(store, nowMs, options.peer));
      if (!found.ok) return this.#judge(found.failure, false, []);
      path = found.path.map(({ der }) => der);
    }
    const checked = this.#checkLeaf(leaf, options);
    if (checked.failure !== undefined) return this.#judge(checked.failure, false, path);
    return this.#judge(undefined, checked.validated || store !== undefined, path);
  }

  #searchRules(store: SearchRules['store'], nowMs: number, peer: PeerPurpose): SearchRules {
    const { revocation, allowExpired, maxPathLength } = this.#rules;
    return {
      store,
      purpose: peer,
      revocation,
      ignoreTimes: allowExpired,
      nowMs,
      partial: true,
      maxLength: maxPathLength,
    };
  }

  /** Names and hashes must both hold; of hashes of the certificate and of its key, one. */
  #checkLeaf(
    leaf: Certificate,
    options: VerifyOptions,
  ): { readonly failure: VerificationFailure | undefined; readonly validated: boolean } {
    const list = options.verifySubjectAltNames ?? [];
    const matchers = this.#matchersFor(options);
    const { hashes, spkis } = this.#rules;
    const failure =
      (list.length > 0 && !matchesList(leaf, list) ? listFailure(leaf, list) : undefined) ??
      (matchers.length > 0 && !matchesAny(leaf, matchers) ? matcherFailure(leaf) : undefined) ??
      (hashes.size + spkis.size > 0 && !hashes.has(leaf.fingerprint('sha256')) && !spkis.has(spkiHash(leaf))
        ? peerFailure('certificate_hash')
        : undefined);
    const validated = list.length + matchers.length + hashes.size + spkis.size > 0;
    return { failure, validated };
  }

  #matchersFor({ serverName = '', verifySubjectAltNames = [] }: VerifyOptions): readonly SanMatcher[] {
    const { autoSni, matchers } = this.#rules;
    if (!autoSni || serverName === '' || verifySubjectAltNames.length > 0) return matchers;
    return [{ kind: 'dns', exact: serverName, matches: () => false }];
  }

  #judge(
    failure: VerificationFailure | undefined,
    validated: boolean,
    path: readonly Buffer[],
  ): VerifyResult {
    const { acceptUntrusted } = this.#rules;
    if (failure === undefined) {
      return { ok: true, validated, tolerated: undefined, path };
    }
    // What is no certificate cannot be accepted as an untrusted one.
    const unreadable = failure.reason === 'no_certificate' || failure.reason === 'malformed';
    return acceptUntrusted && !unreadable
      ? { ok: true, validated: false, tolerated: failure, path }
      : { ok: false, ...failure };
  }
}

export type ReadChain =
  | { readonly ok: true; readonly chain: readonly Certificate[] }
  | { readonly ok: false; readonly failure: VerificationFailure };

export function readChain(chain: readonly Buffer[]): ReadChain {
  if (chain.length === 0) return { ok: false, failure: noCertificate() };
  if (chain.length > MAX_SENT_CERTIFICATES)
    return { ok: false, failure: chainFailure('chain_too_long', MAX_SENT_CERTIFICATES) };
  const certificates: Certificate[] = [];
  for (const [depth, der] of chain.entries()) {
    const read = readCertificate(der);
    if (!read.ok) return { ok: false, failure: chainFailure('malformed', depth) };
    certificates.push(read.value);
  }
  return { ok: true, chain: certificates };
}

function modeOf({ store, acceptUntrusted, matchers, hashes, spkis }: CompiledRules): VerifyMode {
  if (matchers.length + hashes.size + spkis.size > 0) return acceptUntrusted ? 'request' : 'require';
  return store !== undefined || acceptUntrusted ? 'request' : 'none';
}

function spkiHash({ spki }: Certificate): string {
  return createHash('sha256').update(spki).digest('hex');
}

function listFailure(leaf: Certificate, list: readonly string[]): VerificationFailure {
  const names = `, expected SANs: [${forLog(list)}], certificate SANs: [${namesForLog(leaf)}]`;
  return peerFailure('san_list', names);
}

function matcherFailure(leaf: Certificate): VerificationFailure {
  return peerFailure('san_matcher', `, certificate SANs are [${namesForLog(leaf)}]`);
}
