import { getCACertificates } from 'node:tls';
import type { Certificate } from '../certificate/certificate.ts';
import { nameKey } from '../certificate/name.ts';
import { readBundle } from '../files/bundles.ts';
import { mayHaveIssued } from './issuing.ts';

/** The certificates that are trusted, by name. */
export class TrustStore {
  readonly certificates: readonly Certificate[];
  readonly #bySubject = new Map<string, Certificate[]>();

  constructor(certificates: readonly Certificate[]) {
    this.certificates = certificates;
    for (const certificate of certificates) {
      const key = nameKey(certificate.subject);
      const others = this.#bySubject.get(key);
      if (others === undefined) this.#bySubject.set(key, [certificate]);
      else others.push(certificate);
    }
  }

  /** Those that may have issued a certificate; the ones valid at `nowMs` first. */
  issuersOf(certificate: Certificate, nowMs: number): Certificate[] {
    const named = this.#bySubject.get(nameKey(certificate.issuer)) ?? [];
    return validFirst(
      named.filter((one) => mayHaveIssued(one, certificate)),
      nowMs,
    );
  }

  /** The very same certificate is trusted. */
  has(certificate: Certificate): boolean {
    const named = this.#bySubject.get(nameKey(certificate.subject)) ?? [];
    return named.some(({ der }) => der.equals(certificate.der));
  }
}

export function validFirst(certificates: readonly Certificate[], nowMs: number): Certificate[] {
  const isValid = ({ notBefore, notAfter }: Certificate) => notBefore <= nowMs && nowMs < notAfter;
  return [...certificates.filter(isValid), ...certificates.filter((one) => !isValid(one))];
}

let systemStore: TrustStore | undefined;

/** The authorities that the operating system trusts. Read once in a process; what cannot be read is left out. */
export function systemTrustStore(): TrustStore {
  systemStore ??= new TrustStore(
    getCACertificates('system').flatMap((pem) => {
      const bundle = readBundle(pem);
      return bundle.ok ? bundle.value.certificates.filter((one) => one.brokenExtension === undefined) : [];
    }),
  );
  return systemStore;
}
