import type { TLSSocket } from 'node:tls';
import { readCertificate } from '@dragoman/certificates';

const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';

/** More than any chain has; the validator refuses long ones. */
const MAX_CERTIFICATES = 64;

/** DER of the certificates that the peer sent in this handshake, its own first; empty when it sent none, or the session was resumed. */
export function peerChain(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  for (
    let one = socket.getPeerX509Certificate();
    one !== undefined && chain.length < MAX_CERTIFICATES;
    one = one.issuerCertificate
  )
    chain.push(one.raw);
  return chain;
}

/**
 * A session that is resumed has the peer's own certificate only. What stood between it and an authority when it was verified is kept here
 * for such sessions, by issuer: there are few, whatever the number of clients.
 */
export class Intermediates {
  private readonly byIssuer = new Map<string, readonly Buffer[]>();
  private readonly limit: number;

  /** @param limit of issuers; the oldest goes first */
  constructor(limit = 256) {
    this.limit = limit;
  }

  /** @param path a chain that was verified, from the leaf to what is trusted */
  note(path: readonly Buffer[]): void {
    const [leaf, ...above] = path;
    // An authority that is trusted needs nobody in between.
    if (leaf === undefined || above.length < 2) return;
    const key = issuerKey(leaf);
    if (key === undefined || this.byIssuer.has(key)) return;
    if (this.byIssuer.size >= this.limit) {
      const [oldest] = this.byIssuer.keys();
      this.byIssuer.delete(oldest as string);
    }
    this.byIssuer.set(
      key,
      above.map((der) => Buffer.from(der)),
    );
  }

  /** The chain of a resumed session, as far as it is known. */
  chainOf(leaf: Buffer): readonly Buffer[] {
    if (this.byIssuer.size === 0) return [leaf];
    return [leaf, ...(this.byIssuer.get(issuerKey(leaf) ?? '') ?? [])];
  }
}

function issuerKey(leaf: Buffer): string | undefined {
  const certificate = readCertificate(leaf);
  if (!certificate.ok) return undefined;
  const { issuer, extensions } = certificate.value;
  const key = extensions.get(AUTHORITY_KEY_IDENTIFIER)?.value;
  return `${issuer.der.toString('latin1')}${key?.toString('latin1') ?? ''}`;
}
