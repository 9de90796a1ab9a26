import {
  type Certificate,
  type CertificateDetails,
  detailsOf,
  readCertificate,
  writePem,
} from '@dragoman/certificates';
import type { TlsInfo } from '@dragoman/core';
import type { OwnCertificate } from './certificates/own-certificate.ts';

/** What a handshake has told. */
export interface SessionFacts {
  readonly version: string;
  readonly cipher: string;
  /** In hex; empty where the session has none (TLS 1.3, tickets). */
  readonly sessionId: string;
  /** DER of what the peer sent, its own certificate first; empty when it sent none. */
  readonly peerChain: readonly Buffer[];
  readonly validated: boolean;
  readonly own: OwnCertificate | undefined;
  readonly group: string | undefined;
  /** The server name that was sent; clients only. */
  readonly serverName: string | undefined;
}

/** Read when somebody asks: most connections are never asked for the names in their certificates. */
export class SessionInfo implements TlsInfo {
  readonly version: string;
  readonly cipher: string;
  readonly sessionId: string;
  readonly group: string | undefined;
  readonly serverName: string | undefined;
  readonly peerCertificateValidated: boolean;
  private readonly chain: readonly Buffer[];
  private readonly own: CertificateDetails | undefined;
  private peerDetails: CertificateDetails | null | undefined = undefined;
  private certificates: readonly (Certificate | undefined)[] | undefined = undefined;

  constructor(facts: SessionFacts) {
    this.version = facts.version;
    this.cipher = facts.cipher;
    this.sessionId = facts.sessionId;
    this.group = facts.group;
    this.serverName = facts.serverName;
    this.peerCertificateValidated = facts.validated;
    this.chain = facts.peerChain;
    this.own = facts.own?.details;
  }

  get peerSubject(): string | undefined {
    return this.peer?.subject;
  }
  get peerIssuer(): string | undefined {
    return this.peer?.issuer;
  }
  get peerSerial(): string | undefined {
    return this.peer?.serialNumber;
  }
  get peerFingerprint256(): string | undefined {
    return this.peer?.fingerprint256;
  }
  get peerFingerprint1(): string | undefined {
    return this.peer?.fingerprint1;
  }
  get peerUriSans(): readonly string[] | undefined {
    return this.peer?.uriSans;
  }
  get peerDnsSans(): readonly string[] | undefined {
    return this.peer?.dnsSans;
  }
  get peerIpSans(): readonly string[] | undefined {
    return this.peer?.ipSans;
  }
  get peerEmailSans(): readonly string[] | undefined {
    return this.peer?.emailSans;
  }
  get peerOthernameSans(): readonly string[] | undefined {
    return this.peer?.otherNameSans;
  }
  get peerValidFrom(): number | undefined {
    return this.peer?.validFrom;
  }
  get peerValidTo(): number | undefined {
    return this.peer?.validTo;
  }
  get peerCertificatePem(): string | undefined {
    const [leaf] = this.chain;
    return leaf === undefined ? undefined : writePem('CERTIFICATE', leaf);
  }
  get peerChainPem(): string | undefined {
    return this.chain.length === 0
      ? undefined
      : this.chain.map((der) => writePem('CERTIFICATE', der)).join('');
  }
  get peerChainFingerprints256(): readonly string[] | undefined {
    return this.ofChain((certificate) => certificate.fingerprint('sha256'));
  }
  get peerChainFingerprints1(): readonly string[] | undefined {
    return this.ofChain((certificate) => certificate.fingerprint('sha1'));
  }
  get peerChainSerials(): readonly string[] | undefined {
    return this.ofChain((certificate) => detailsOf(certificate).serialNumber);
  }
  get localSubject(): string | undefined {
    return this.own?.subject;
  }
  get localUriSans(): readonly string[] | undefined {
    return this.own?.uriSans;
  }
  get localDnsSans(): readonly string[] | undefined {
    return this.own?.dnsSans;
  }
  get localIpSans(): readonly string[] | undefined {
    return this.own?.ipSans;
  }
  get localEmailSans(): readonly string[] | undefined {
    return this.own?.emailSans;
  }
  get localOthernameSans(): readonly string[] | undefined {
    return this.own?.otherNameSans;
  }

  private get peer(): CertificateDetails | undefined {
    if (this.peerDetails === undefined) {
      const [leaf] = this.parsedChain();
      this.peerDetails = leaf === undefined ? null : detailsOf(leaf);
    }
    return this.peerDetails ?? undefined;
  }

  /** What cannot be read stays in its place as an empty text. */
  private ofChain(read: (certificate: Certificate) => string): string[] | undefined {
    if (this.chain.length === 0) return undefined;
    return this.parsedChain().map((certificate) => (certificate === undefined ? '' : read(certificate)));
  }

  private parsedChain(): readonly (Certificate | undefined)[] {
    this.certificates ??= this.chain.map((der) => {
      const certificate = readCertificate(der);
      return certificate.ok ? certificate.value : undefined;
    });
    return this.certificates;
  }
}
