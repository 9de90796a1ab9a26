import {
  type CertificateDetailsSchema,
  type CertificatesSchema,
  type MessageInitShape,
  timestampFromMs,
} from '@dragoman/api';
import type { CertificateEntry, CertificateGroup } from '@dragoman/core';

const DAY_MS = 86_400_000;
/** Envoy's value where there is no certificate. */
const NO_CERTIFICATE_DAYS = 2 ** 32 - 1;

/** What `/certs` prints. @param now wall time in ms */
export function certificateReport(
  groups: readonly CertificateGroup[],
  now: number,
): MessageInitShape<typeof CertificatesSchema> {
  const details = (entries: readonly CertificateEntry[]) => entries.map((entry) => describe(entry, now));
  return {
    certificates: groups.map(({ caCertificates, certificateChain }) => ({
      caCert: details(caCertificates),
      certChain: details(certificateChain),
    })),
  };
}

/**
 * `server.days_until_first_cert_expiring`: whole days, 0 once one has expired, 2³²−1 without any. Authorities count too, as in Envoy.
 * @param now wall time in ms
 */
export function daysUntilFirstExpiry(groups: readonly CertificateGroup[], now: number): number {
  let days = NO_CERTIFICATE_DAYS;
  for (const { caCertificates, certificateChain } of groups)
    for (const { expirationTime } of [...caCertificates, ...certificateChain])
      days = Math.min(days, daysLeft(expirationTime, now));
  return days;
}

function daysLeft(expirationTime: number, now: number): number {
  return Math.max(0, Math.floor((expirationTime - now) / DAY_MS));
}

function describe(entry: CertificateEntry, now: number): MessageInitShape<typeof CertificateDetailsSchema> {
  const { path, serialNumber, dnsSans, uriSans, ipSans, validFrom, expirationTime } = entry;
  return {
    path,
    serialNumber,
    subjectAltNames: [
      ...dnsSans.map((value) => ({ name: { case: 'dns', value } as const })),
      ...uriSans.map((value) => ({ name: { case: 'uri', value } as const })),
      ...ipSans.map((value) => ({ name: { case: 'ipAddress', value } as const })),
    ],
    daysUntilExpiration: BigInt(daysLeft(expirationTime, now)),
    validFrom: timestampFromMs(validFrom),
    expirationTime: timestampFromMs(expirationTime),
  };
}
