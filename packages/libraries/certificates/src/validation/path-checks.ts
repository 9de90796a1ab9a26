import { attempt, type Certificate } from '../certificate/certificate.ts';
import { ExtensionOid, KeyUsageBit } from '../certificate/extensions.ts';
import { chainFailure, type VerificationFailure } from './failure.ts';
import type { CertificateFailure } from './failure-table.ts';
import { allowsUsage, isSelfIssued, isSelfSigned } from './issuing.ts';
import { checkNameConstraints } from './name-constraints.ts';
import { checkRevocation, type RevocationRules } from './revocation.ts';
import { hasStrongKey, signatureWeakness } from './strength.ts';

/** What the peer is: servers show certificates for serverAuth, clients for clientAuth. */
export type PeerPurpose = 'server' | 'client';

export interface PathRules {
  /** Undefined: extended key usage is not looked at (SPIFFE). */
  readonly purpose: PeerPurpose | undefined;
  /** Undefined when there are no CRLs. */
  readonly revocation: RevocationRules | undefined;
  /** Times are not looked at. */
  readonly ignoreTimes: boolean;
  /** Wall time in ms. */
  readonly nowMs: number;
  /** Called before each signature is verified. False stops the search. */
  readonly spend: () => boolean;
}

/** A leaf, and what issued it, up to what is trusted. */
export type CertificatePath = readonly Certificate[];

/**
 * Checks a whole path in the order of BoringSSL, because the first thing that is wrong gives the reason.
 * @returns undefined when nothing is wrong
 */
export function checkPath(path: CertificatePath, rules: PathRules): VerificationFailure | undefined {
  return (
    checkExtensions(path, rules.purpose) ??
    checkStrength(path) ??
    checkRevocation(path, rules) ??
    checkSignaturesAndTimes(path, rules) ??
    checkNameConstraints(path) ??
    checkPolicies(path)
  );
}

/** Critical ones that are understood, all of them here or in `checkPolicies`. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  ExtensionOid.keyUsage,
  ExtensionOid.subjectAltName,
  ExtensionOid.basicConstraints,
  ExtensionOid.certificatePolicies,
  ExtensionOid.extendedKeyUsage,
  ExtensionOid.policyConstraints,
  ExtensionOid.nameConstraints,
  ExtensionOid.policyMappings,
  ExtensionOid.inhibitAnyPolicy,
]);

function checkExtensions(
  path: CertificatePath,
  purpose: PeerPurpose | undefined,
): VerificationFailure | undefined {
  /** Certificates so far that count for a path length. */
  let length = 0;
  for (const [depth, certificate] of path.entries()) {
    const reason = checkOne(certificate, depth, length, purpose);
    if (reason !== undefined) return chainFailure(reason, depth);
    if (depth === 0 || !isSelfIssued(certificate)) length++;
  }
  return undefined;
}

function checkOne(
  certificate: Certificate,
  depth: number,
  length: number,
  purpose: PeerPurpose | undefined,
): CertificateFailure | undefined {
  if (certificate.brokenExtension !== undefined) return 'invalid_extension';
  for (const [oid, { critical }] of certificate.extensions)
    if (critical && !UNDERSTOOD.has(oid)) return 'unhandled_critical_extension';
  if (depth > 0 && !isAuthority(certificate)) return 'invalid_ca';
  if (purpose !== undefined && !servesPurpose(certificate, purpose, depth > 0)) return 'unsupported_purpose';
  const limit = certificate.known.basicConstraints?.pathLength;
  if (depth > 1 && limit !== undefined && length > limit + 1) return 'path_length_exceeded';
  return undefined;
}

/** Certificates of version 1 have no extensions to say it with; one that is trusted and its own issuer counts as an authority. */
function isAuthority(certificate: Certificate): boolean {
  if (!allowsUsage(certificate, KeyUsageBit.keyCertSign)) return false;
  if (certificate.version === 1 && isSelfSigned(certificate)) return true;
  return certificate.known.basicConstraints?.ca === true;
}

const PURPOSES = {
  server: {
    oid: '1.3.6.1.5.5.7.3.1',
    usage: KeyUsageBit.digitalSignature | KeyUsageBit.keyEncipherment | KeyUsageBit.keyAgreement,
  },
  client: {
    oid: '1.3.6.1.5.5.7.3.2',
    usage: KeyUsageBit.digitalSignature | KeyUsageBit.keyAgreement,
  },
} as const;

/** Extended key usage holds for authorities too; anyExtendedKeyUsage is not enough, as in BoringSSL and OpenSSL. */
function servesPurpose(certificate: Certificate, purpose: PeerPurpose, authority: boolean): boolean {
  const { oid, usage } = PURPOSES[purpose];
  const { extendedKeyUsage } = certificate.known;
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.has(oid)) return false;
  return authority || allowsUsage(certificate, usage);
}

/** What is trusted is trusted whatever it was signed with, but its key signs others. */
function checkStrength(path: CertificatePath): VerificationFailure | undefined {
  for (const [depth, certificate] of path.entries()) {
    if (!hasStrongKey(certificate))
      return chainFailure(depth === 0 ? 'weak_key' : 'weak_authority_key', depth);
    const weakness = depth < path.length - 1 ? signatureWeakness(certificate) : undefined;
    if (weakness !== undefined) return chainFailure(weakness, depth);
  }
  return undefined;
}

/** From what is trusted down, so that nothing is spent on keys that nobody vouches for. */
function checkSignaturesAndTimes(
  path: CertificatePath,
  { ignoreTimes, nowMs, spend }: PathRules,
): VerificationFailure | undefined {
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const certificate = path[depth] as Certificate;
    const issuer = path[depth + 1];
    if (issuer !== undefined) {
      if (!spend()) return chainFailure('chain_too_long', depth);
      if (!isSignedBy(certificate, issuer)) return chainFailure('signature_failure', depth);
    }
    if (ignoreTimes) continue;
    const second = Math.floor(nowMs / 1000) * 1000;
    if (certificate.notBefore > second) return chainFailure('not_yet_valid', depth);
    if (certificate.notAfter <= second) return chainFailure('expired', depth);
  }
  return undefined;
}

function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  const key = issuer.publicKey;
  return key !== undefined && attempt(() => certificate.x509?.verify(key)) === true;
}

/**
 * Any policy will do, so what extensions about policies say does not matter, unless one demands that a policy be valid. The tree of
 * policies is not worked out for that; such a chain is refused.
 */
function checkPolicies(path: CertificatePath): VerificationFailure | undefined {
  const depth = path.findIndex((certificate) => certificate.known.requiresPolicy);
  return depth < 0 ? undefined : chainFailure('no_explicit_policy', depth);
}
