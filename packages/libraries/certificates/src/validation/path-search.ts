import type { Certificate } from '../certificate/certificate.ts';
import { chainFailure, type VerificationFailure } from './failure.ts';
import { isSelfSigned, mayHaveIssued } from './issuing.ts';
import { type CertificatePath, checkPath, type PathRules } from './path-checks.ts';
import { type TrustStore, validFirst } from './trust-store.ts';

/** Certificates that a peer may send. TLS stacks take 100 KB, which are some hundreds. */
export const MAX_SENT_CERTIFICATES = 32;

/** What one search may cost: complete paths that are checked, signatures that are verified, certificates that are stepped to. */
const MAX_PATHS = 8;
const MAX_SIGNATURES = 64;
const MAX_STEPS = 256;

export interface SearchRules extends Omit<PathRules, 'spend'> {
  readonly store: TrustStore;
  /** Any trusted certificate ends a path (Envoy sets X509_V_FLAG_PARTIAL_CHAIN). Otherwise a self-signed one has to. */
  readonly partial: boolean;
  /** The longest path in certificates, with the leaf and what is trusted. */
  readonly maxLength: number;
}

export type SearchResult =
  | { readonly ok: true; readonly path: CertificatePath }
  | { readonly ok: false; readonly failure: VerificationFailure };

/**
 * Looks for a path from a leaf to what is trusted that has nothing wrong with it. As in BoringSSL, what is trusted goes before what the
 * peer sent; unlike there, when a certificate has several possible issuers (an authority that changed its key or renewed its
 * certificate), the others are tried too. The reason is that of the first path, or of the first that was not stopped by a signature.
 * @param sent all that came with the leaf, in any order
 */
export function findPath(leaf: Certificate, sent: readonly Certificate[], rules: SearchRules): SearchResult {
  return new PathSearch(sent, rules).run(leaf);
}

class PathSearch {
  readonly #sent: readonly Certificate[];
  readonly #rules: SearchRules;
  readonly #pathRules: PathRules;
  #failure: VerificationFailure | undefined;
  #found: CertificatePath | undefined;
  #paths = 0;
  #signatures = 0;
  #steps = 0;

  constructor(sent: readonly Certificate[], rules: SearchRules) {
    this.#sent = validFirst(sent, rules.nowMs);
    this.#rules = rules;
    this.#pathRules = { ...rules, spend: () => ++this.#signatures <= MAX_SIGNATURES };
  }

  run(leaf: Certificate): SearchResult {
    if (leaf.brokenExtension !== undefined)
      return { ok: false, failure: chainFailure('invalid_extension', 0) };
    this.#fromPeer([leaf]);
    if (this.#found !== undefined) return { ok: true, path: this.#found };
    return { ok: false, failure: this.#failure ?? chainFailure('chain_too_long', 0) };
  }

  get #isOver(): boolean {
    return this.#found !== undefined || this.#paths >= MAX_PATHS || this.#steps >= MAX_STEPS;
  }

  /** The last of `path` was sent by the peer. */
  #fromPeer(path: CertificatePath): void {
    if (this.#isOver) return;
    this.#steps++;
    const last = path[path.length - 1] as Certificate;
    const selfSigned = isSelfSigned(last);
    if (!selfSigned && path.length < this.#rules.maxLength) {
      const trusted = this.#rules.store.issuersOf(last, this.#rules.nowMs);
      if (trusted.length > 0) {
        for (const issuer of trusted) this.#fromStore([...path, issuer]);
        return;
      }
      const candidates = this.#sent.filter((one) => !path.includes(one) && mayHaveIssued(one, last));
      for (const issuer of candidates) this.#fromPeer([...path, issuer]);
      if (candidates.length > 0) return;
    }
    this.#deadEnd(path, selfSigned);
  }

  /** The last of `path` is trusted. What is trusted above it belongs to the path too. */
  #fromStore(path: CertificatePath): void {
    if (this.#isOver) return;
    this.#steps++;
    const last = path[path.length - 1] as Certificate;
    const selfSigned = isSelfSigned(last);
    if (!selfSigned && path.length < this.#rules.maxLength) {
      const issuers = this.#rules.store
        .issuersOf(last, this.#rules.nowMs)
        .filter((one) => !path.includes(one));
      for (const issuer of issuers) this.#fromStore([...path, issuer]);
      if (issuers.length > 0) return;
    }
    if (selfSigned || this.#rules.partial) this.#complete(path);
    else this.#fail(chainFailure('unable_to_get_issuer', path.length - 1));
  }

  /** Nobody who is trusted issued any of these. */
  #deadEnd(path: CertificatePath, selfSigned: boolean): void {
    const [leaf] = path as readonly [Certificate];
    if ((this.#rules.partial || isSelfSigned(leaf)) && this.#rules.store.has(leaf)) {
      this.#complete([leaf]);
      return;
    }
    const depth = path.length - 1;
    if (!selfSigned) this.#fail(chainFailure('unable_to_get_issuer_locally', depth));
    else this.#fail(chainFailure(depth === 0 ? 'self_signed' : 'self_signed_in_chain', depth));
  }

  #complete(path: CertificatePath): void {
    this.#paths++;
    const failure = checkPath(path, this.#pathRules);
    if (failure === undefined) this.#found = path;
    else this.#fail(failure);
  }

  #fail(failure: VerificationFailure): void {
    if (this.#failure === undefined || this.#failure.reason === 'signature_failure') this.#failure = failure;
  }
}
