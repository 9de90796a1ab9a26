import type { Certificate } from '../certificate/certificate.ts';
import { type CertificateList, crlSignedBy } from '../certificate/certificate-list.ts';
import { type DistributionPoint, KeyUsageBit } from '../certificate/extensions.ts';
import { nameKey, sameName } from '../certificate/name.ts';
import { chainFailure, type VerificationFailure } from './failure.ts';
import type { CertificateFailure } from './failure-table.ts';
import { allowsUsage, fitsKeyIdentifier } from './issuing.ts';

export interface RevocationRules {
  readonly lists: RevocationLists;
  /** `only_verify_leaf_cert_crl`. Otherwise every certificate needs a CRL of its issuer, the root its own. */
  readonly onlyLeaf: boolean;
}

/** CRLs by issuer. */
export class RevocationLists {
  readonly #byIssuer = new Map<string, CertificateList[]>();
  /** Signatures that were verified: keyed by certificates, so what peers send is forgotten with them. */
  readonly #signed = new WeakMap<Certificate, Map<CertificateList, boolean>>();

  constructor(lists: readonly CertificateList[]) {
    for (const list of lists) {
      const key = nameKey(list.issuer);
      const others = this.#byIssuer.get(key);
      if (others === undefined) this.#byIssuer.set(key, [list]);
      else others.push(list);
    }
  }

  of(certificate: Certificate): readonly CertificateList[] {
    return this.#byIssuer.get(nameKey(certificate.issuer)) ?? [];
  }

  isSignedBy(list: CertificateList, issuer: Certificate): boolean {
    let verdicts = this.#signed.get(issuer);
    if (verdicts === undefined) {
      verdicts = new Map();
      this.#signed.set(issuer, verdicts);
    }
    let verdict = verdicts.get(list);
    if (verdict === undefined) {
      verdict = crlSignedBy(list, issuer);
      verdicts.set(list, verdict);
    }
    return verdict;
  }
}

interface Context {
  readonly revocation: RevocationRules | undefined;
  readonly ignoreTimes: boolean;
  readonly nowMs: number;
}

export function checkRevocation(
  path: readonly Certificate[],
  context: Context,
): VerificationFailure | undefined {
  const { revocation } = context;
  if (revocation === undefined) return undefined;
  const count = revocation.onlyLeaf ? 1 : path.length;
  for (let depth = 0; depth < count; depth++) {
    const reason = checkOne(path, depth, revocation.lists, context);
    if (reason !== undefined) return chainFailure(reason, depth);
  }
  return undefined;
}

/** A CRL, how well it fits, and whose it is. */
interface Candidate {
  readonly list: CertificateList;
  readonly issuer: Certificate;
  readonly inScope: boolean;
  readonly inTime: boolean;
  readonly score: number;
}

function checkOne(
  path: readonly Certificate[],
  depth: number,
  lists: RevocationLists,
  context: Context,
): CertificateFailure | undefined {
  const certificate = path[depth] as Certificate;
  let best: Candidate | undefined;
  for (const list of lists.of(certificate)) {
    const candidate = rate(list, path, depth, context);
    if (candidate === undefined) continue;
    const better = best === undefined || candidate.score > best.score;
    const newer = candidate.score === best?.score && list.thisUpdate > best.list.thisUpdate;
    if (better || newer) best = candidate;
  }
  if (best === undefined) return 'no_crl';
  const { list, issuer } = best;
  if (!allowsUsage(issuer, KeyUsageBit.crlSign)) return 'crl_signing_not_allowed';
  if (!best.inScope) return 'crl_scope';
  if (!best.inTime) return isEarly(list, context) ? 'crl_not_yet_valid' : 'crl_expired';
  if (!lists.isSignedBy(list, issuer)) return 'crl_signature_failure';
  if (list.unknownCritical) return 'crl_unhandled_critical_extension';
  return list.revoked.has(certificate.serial.toString('hex')) ? 'revoked' : undefined;
}

/** Undefined for lists that are not to be used at all. */
function rate(
  list: CertificateList,
  path: readonly Certificate[],
  depth: number,
  context: Context,
): Candidate | undefined {
  if (list.scope?.unusable === true) return undefined;
  const found = issuerOf(list, path, depth);
  if (found === undefined) return undefined;
  const inScope = covers(list, path[depth] as Certificate);
  const inTime = context.ignoreTimes || (!isEarly(list, context) && !isLate(list, context));
  // The order of BoringSSL's bits: critical extensions, scope, times, whose it is.
  const score =
    (list.unknownCritical ? 0 : 8) + (inScope ? 4 : 0) + (inTime ? 2 : 0) + (found.isDirect ? 1 : 0);
  return { list, issuer: found.issuer, inScope, inTime, score };
}

function isEarly({ thisUpdate }: CertificateList, { nowMs }: Context): boolean {
  return thisUpdate > seconds(nowMs);
}

function isLate({ nextUpdate }: CertificateList, { nowMs }: Context): boolean {
  return nextUpdate !== undefined && nextUpdate <= seconds(nowMs);
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

/** The issuer of a certificate signs its CRL; a key of the same authority further up may do so too. */
function issuerOf(
  list: CertificateList,
  path: readonly Certificate[],
  depth: number,
): { readonly issuer: Certificate; readonly isDirect: boolean } | undefined {
  const direct = Math.min(depth + 1, path.length - 1);
  for (let at = direct; at < path.length; at++) {
    const issuer = path[at] as Certificate;
    if (!sameName(issuer.subject, list.issuer)) continue;
    if (fitsKeyIdentifier(issuer, list.authorityKeyIdentifier)) return { issuer, isDirect: at === direct };
  }
  return undefined;
}

/** Whether a CRL is about a certificate (RFC 5280, 6.3.3 b; neither indirect CRLs nor those for some reasons). */
function covers({ scope }: CertificateList, certificate: Certificate): boolean {
  if (scope === undefined) return true;
  const isAuthority = certificate.known.basicConstraints?.ca === true;
  if (isAuthority ? scope.onlyUserCertificates : scope.onlyAuthorities) return false;
  const { names } = scope;
  if (names === undefined) return true;
  return certificate.known.distributionPoints.some((point) => !point.partial && sharesName(point, names));
}

function sharesName(point: DistributionPoint, names: readonly string[]): boolean {
  return point.names === undefined || point.names.some((name) => names.includes(name));
}
