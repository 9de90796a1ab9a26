import { detailsOf } from '@dragoman/certificates';
import type { CertificateEntry, CertificateGroup } from '@dragoman/core';
import type { CertificateDetails } from '@dragoman/certificates';
import type { Material } from './common-context.ts';
import type { SslStats } from './stats.ts';

/** Sets the gauges that tell when certificates expire. */
export function tellExpiration({ certificates, validation }: Material, stats: SslStats): void {
  for (const { name, details } of certificates) stats.setExpiration(name, seconds(details.validTo));
  if (validation === undefined) return;
  const { name, spiffe, validator } = validation;
  // Envoy has one for the first authority of a bundle, and for each of a SPIFFE validator.
  validator.authorities.slice(0, spiffe ? undefined : 1).forEach(({ notAfter }, i) => {
    stats.setExpiration(spiffe ? `${name}_${i}` : name, seconds(notAfter));
  });
}

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** For `/certs`: as Envoy, of a bundle of authorities the first. */
export function certificateGroup(material: Material | undefined): CertificateGroup {
  const authority = material?.validation?.validator.authorities[0];
  return {
    caCertificates:
      authority === undefined ? [] : [entry(detailsOf(authority), material?.validation?.path ?? '<inline>')],
    certificateChain: (material?.certificates ?? []).map(({ details, path }) => entry(details, path)),
  };
}

function entry(details: CertificateDetails, path: string): CertificateEntry {
  return {
    path,
    serialNumber: details.serialNumber,
    dnsSans: details.dnsSans,
    uriSans: details.uriSans,
    ipSans: details.ipSans,
    validFrom: details.validFrom,
    expirationTime: details.validTo,
  };
}
