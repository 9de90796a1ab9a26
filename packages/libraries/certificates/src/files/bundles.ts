import { type Certificate, readCertificate } from '../certificate/certificate.ts';
import { type CertificateList, readCertificateList } from '../certificate/certificate-list.ts';
import { failed, type Result, succeeded } from '../result.ts';
import { readPem } from './pem.ts';

/** Certificates, and CRLs that stand among them. */
export interface Bundle {
  readonly certificates: readonly Certificate[];
  readonly crls: readonly CertificateList[];
}

const CERTIFICATE_LABELS = new Set(['CERTIFICATE', 'X509 CERTIFICATE']);

/** Reads all certificates and CRLs of a PEM text, or the one certificate that DER is. Other blocks (keys) are skipped. */
export function readBundle(source: string | Buffer): Result<Bundle> {
  if (typeof source !== 'string' && !looksLikePem(source)) {
    const single = readCertificate(source);
    return single.ok ? succeeded({ certificates: [single.value], crls: [] }) : single;
  }
  const blocks = readPem(source.toString());
  if (!blocks.ok) return blocks;
  const certificates: Certificate[] = [];
  const crls: CertificateList[] = [];
  for (const [i, { label, der }] of blocks.value.entries()) {
    if (label === 'TRUSTED CERTIFICATE')
      return failed(`PEM block ${i + 1} has OpenSSL's own trust settings: write it as CERTIFICATE`);
    const isCertificate = CERTIFICATE_LABELS.has(label);
    if (!isCertificate && label !== 'X509 CRL') continue;
    const read = isCertificate ? readCertificate(der) : readCertificateList(der);
    if (!read.ok) return failed(`PEM block ${i + 1} (${label}): ${read.error}`);
    if (isCertificate) certificates.push(read.value as Certificate);
    else crls.push(read.value as CertificateList);
  }
  return succeeded({ certificates, crls });
}

/** The certificates of a bundle; an error when there is none. */
export function readCertificates(source: string | Buffer): Result<readonly Certificate[]> {
  const bundle = readBundle(source);
  if (!bundle.ok) return bundle;
  return bundle.value.certificates.length === 0
    ? failed('there is no certificate')
    : succeeded(bundle.value.certificates);
}

function looksLikePem(bytes: Buffer): boolean {
  return bytes.includes('-----BEGIN ');
}
