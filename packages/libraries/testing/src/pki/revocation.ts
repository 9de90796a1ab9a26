import { createHash } from 'node:crypto';
import { encodeExtension, HOUR_MS, type Issuer, keyIdentifier, type PkiExtension } from './certificate.ts';
import {
  bitString,
  enumerated,
  explicit,
  generalizedTime,
  implicit,
  integer,
  nothing,
  octets,
  oid,
  sequence,
  time,
} from './der-writer.ts';
import { type KeyPair, type SignatureDigest, signatureAlgorithm, signWith } from './keys.ts';

export interface RevokedEntry {
  readonly serial: bigint;
  /** Wall time in ms. An hour ago when absent. */
  readonly at?: number;
  /** CRLReason: 1 is keyCompromise. No extension when absent. */
  readonly reason?: number;
  readonly extensions?: readonly PkiExtension[];
}

export interface CrlContent {
  readonly revoked?: readonly RevokedEntry[];
  /** Wall time in ms. An hour ago when absent. */
  readonly thisUpdate?: number;
  /** Wall time in ms. In a day when absent, `null` to leave it out. */
  readonly nextUpdate?: number | null;
  readonly extensions?: readonly PkiExtension[];
  readonly digest?: SignatureDigest;
  /** Signs in place of the authority's key: a CRL with a signature that does not fit. */
  readonly signer?: KeyPair;
}

/** The DER of a CRL of version 2. */
export function encodeCrl(content: CrlContent, issuer: Issuer): Buffer {
  const digest = content.digest ?? 'sha256';
  const keys = content.signer ?? issuer.keys;
  const now = Date.now();
  const nextUpdate = content.nextUpdate === undefined ? now + 24 * HOUR_MS : content.nextUpdate;
  const entries = (content.revoked ?? []).map(({ serial, at = now - HOUR_MS, reason, extensions = [] }) => {
    const list = [...extensions];
    if (reason !== undefined) list.push({ oid: '2.5.29.21', value: enumerated(reason) });
    return sequence(
      integer(serial),
      time(at),
      ...(list.length === 0 ? [] : [sequence(...list.map(encodeExtension))]),
    );
  });
  const extensions: readonly PkiExtension[] = [
    { oid: '2.5.29.35', value: sequence(implicit(0, keyIdentifier(issuer.keys))) },
    { oid: '2.5.29.20', value: integer(1) },
    ...(content.extensions ?? []),
  ];
  const algorithm = signatureAlgorithm(keys.privateKey, digest);
  const toBeSigned = sequence(
    integer(1),
    algorithm,
    issuer.name,
    time(content.thisUpdate ?? now - HOUR_MS),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    explicit(0, sequence(...extensions.map(encodeExtension))),
  );
  return sequence(toBeSigned, algorithm, bitString(signWith(keys.privateKey, digest, toBeSigned)));
}

export interface OcspContent {
  /** `good` when absent. */
  readonly status?: 'good' | 'revoked' | 'unknown';
  /** Wall time in ms. An hour ago when absent. */
  readonly thisUpdate?: number;
  /** Wall time in ms. In a day when absent, `null` to leave it out. */
  readonly nextUpdate?: number | null;
  /** When a revoked certificate was revoked, wall time in ms. */
  readonly revokedAt?: number;
  /** OCSPResponseStatus: 0 is successful, others come without a response. */
  readonly responseStatus?: number;
  /** Answers for these serials, one after the other; for the certificate's own when absent. */
  readonly serials?: readonly bigint[];
  /** The responder is named by its name, or by the hash of its key. `name` when absent. */
  readonly responder?: 'name' | 'key';
  readonly digest?: SignatureDigest;
}

/** The DER of an OCSP response about certificates of `issuer`, signed by the issuer. */
export function encodeOcsp(content: OcspContent, serials: readonly bigint[], issuer: Issuer): Buffer {
  const status = content.responseStatus ?? 0;
  if (status !== 0) return sequence(enumerated(status));
  const digest = content.digest ?? 'sha256';
  const now = Date.now();
  const thisUpdate = content.thisUpdate ?? now - HOUR_MS;
  const nextUpdate = content.nextUpdate === undefined ? now + 24 * HOUR_MS : content.nextUpdate;
  const certificateStatus = {
    good: () => implicit(0, Buffer.alloc(0)),
    revoked: () => explicit(1, generalizedTime(content.revokedAt ?? now - HOUR_MS)),
    unknown: () => implicit(2, Buffer.alloc(0)),
  }[content.status ?? 'good'];
  const nameHash = createHash('sha1').update(issuer.name).digest();
  const responses = serials.map((serial) =>
    sequence(
      sequence(
        sequence(oid('1.3.14.3.2.26'), nothing()),
        octets(nameHash),
        octets(keyIdentifier(issuer.keys)),
        integer(serial),
      ),
      certificateStatus(),
      generalizedTime(thisUpdate),
      ...(nextUpdate === null ? [] : [explicit(0, generalizedTime(nextUpdate))]),
    ),
  );
  const data = sequence(
    content.responder === 'key' ? explicit(2, octets(keyIdentifier(issuer.keys))) : explicit(1, issuer.name),
    generalizedTime(now),
    sequence(...responses),
  );
  const algorithm = signatureAlgorithm(issuer.keys.privateKey, digest);
  const basic = sequence(data, algorithm, bitString(signWith(issuer.keys.privateKey, digest, data)));
  return sequence(enumerated(0), explicit(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octets(basic))));
}
