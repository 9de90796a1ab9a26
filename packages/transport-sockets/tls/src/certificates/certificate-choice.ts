import { type ClientHello, EXTENSION, extensionData, extensionNumbers } from '@dragoman/client-hello';
import { type OcspStapleAction, type OcspStaplePolicy, ocspStapleAction } from '@dragoman/certificates';
import type { CipherSuite } from '../params/cipher-table.ts';
import type { OwnCertificate } from './own-certificate.ts';

/** What a client can do, as its ClientHello tells. */
export interface ClientAbilities {
  /** In lower case; empty when there is none. */
  readonly serverName: string;
  /** The curves of certificates that it can verify; empty when it cannot verify ECDSA at all. */
  readonly curves: readonly number[];
  /** It asks for an OCSP response. */
  readonly wantsOcsp: boolean;
}

export interface CertificateChoice<C> {
  readonly certificate: C;
  readonly staple: OcspStapleAction;
  /** A certificate of the server name was found. */
  readonly named: boolean;
}

/** What is chosen among. */
export interface Candidate {
  readonly own: OwnCertificate;
}

/** Chooses the certificate of a connection by Envoy's rules (`DefaultTlsCertificateSelector`). */
export class CertificateChooser<C extends Candidate> {
  private readonly all: readonly C[];
  private readonly byName: ReadonlyMap<string, readonly C[]>;
  private readonly fullScan: boolean;
  private readonly policy: OcspStaplePolicy;
  private readonly hasOtherThanEcdsa: boolean;

  /**
   * @param all at least one
   * @param fullScan `full_scan_certs_on_sni_mismatch`
   */
  constructor(all: readonly C[], fullScan: boolean, policy: OcspStaplePolicy) {
    this.all = all;
    this.fullScan = fullScan;
    this.policy = policy;
    this.byName = indexByName(all);
    this.hasOtherThanEcdsa = all.some(({ own }) => own.details.keyType.kind === 'rsa');
  }

  /** @param nowMs wall time, for OCSP */
  choose(client: ClientAbilities, nowMs: number): CertificateChoice<C> {
    const byName = client.serverName === '' ? undefined : this.chooseByName(client, nowMs);
    if (byName !== undefined) return { ...byName, named: true };
    const scans = client.serverName === '' || this.fullScan;
    const useful = client.curves.length > 0 || this.hasOtherThanEcdsa;
    const found = scans && useful ? this.chooseAmong(this.all, client, nowMs) : undefined;
    const [first] = this.all as readonly [C];
    return {
      ...(found ?? { certificate: first, staple: this.stapleOf(first, client, nowMs) }),
      named: false,
    };
  }

  private chooseByName(client: ClientAbilities, nowMs: number): Chosen<C> | undefined {
    const { serverName } = client;
    const exact = this.byName.get(serverName);
    const found = exact === undefined ? undefined : this.chooseAmong(exact, client, nowMs);
    if (found !== undefined) return found;
    const dot = serverName.indexOf('.', 1);
    if (dot < 0 || dot >= serverName.length - 1) return undefined;
    const wildcard = this.byName.get(serverName.slice(dot));
    return wildcard === undefined ? undefined : this.chooseAmong(wildcard, client, nowMs);
  }

  /** An ECDSA one that the client can verify, else the first that is of another kind. */
  private chooseAmong(
    candidates: readonly C[],
    client: ClientAbilities,
    nowMs: number,
  ): Chosen<C> | undefined {
    let second: Chosen<C> | undefined;
    for (const certificate of candidates) {
      const { curve } = certificate.own;
      const fits = curve === undefined ? client.curves.length === 0 : client.curves.includes(curve);
      if (!fits && (curve !== undefined || second !== undefined)) continue;
      const staple = this.stapleOf(certificate, client, nowMs);
      if (staple === 'fail') continue;
      if (fits) return { certificate, staple };
      second = { certificate, staple };
    }
    return second;
  }

  private stapleOf({ own }: C, { wantsOcsp }: ClientAbilities, nowMs: number): OcspStapleAction {
    return ocspStapleAction({
      policy: this.policy,
      mustStaple: own.details.mustStaple,
      response: own.ocsp,
      asked: wantsOcsp,
      nowMs,
    });
  }
}

interface Chosen<C> {
  readonly certificate: C;
  readonly staple: OcspStapleAction;
}

/** Of several with one name, and keys of one kind, the first counts. */
function indexByName<C extends Candidate>(all: readonly C[]): Map<string, C[]> {
  const index = new Map<string, C[]>();
  for (const candidate of all)
    for (const name of new Set(candidate.own.serverNames)) {
      const named = index.get(name) ?? [];
      index.set(name, named);
      if (!named.some(({ own }) => keyKind(own) === keyKind(candidate.own))) named.push(candidate);
    }
  return index;
}

const keyKind = ({ details }: OwnCertificate): string => details.keyType.kind;

/** Certificates that a signature algorithm of TLS 1.3 is bound to. */
const ALGORITHM_CURVES: ReadonlyMap<number, number> = new Map([
  [0x0403, 23],
  [0x0503, 24],
  [0x0603, 25],
]);
const CURVES: ReadonlySet<number> = new Set(ALGORITHM_CURVES.values());
const TLS12 = 0x0303;

/**
 * @param serverName in lower case
 * @param ciphers that this server has below TLS 1.3
 * @param tls13 it has TLS 1.3
 */
export function abilitiesOf(
  hello: ClientHello,
  serverName: string,
  ciphers: readonly CipherSuite[],
  tls13: boolean,
): ClientAbilities {
  return {
    serverName,
    curves: verifiableCurves(hello, ciphers, tls13),
    wantsOcsp: extensionData(hello, EXTENSION.statusRequest) !== undefined,
  };
}

function verifiableCurves(hello: ClientHello, ciphers: readonly CipherSuite[], tls13: boolean): number[] {
  const newClient =
    tls13 && hello.version === TLS12 && extensionData(hello, EXTENSION.supportedVersions) !== undefined;
  if (newClient) {
    const algorithms = extensionNumbers(hello, EXTENSION.signatureAlgorithms) ?? [];
    return algorithms.flatMap((id) => ALGORITHM_CURVES.get(id) ?? []);
  }
  const groups = extensionNumbers(hello, EXTENSION.supportedGroups) ?? [];
  const curves = groups.filter((id) => CURVES.has(id));
  if (curves.length === 0) return [];
  const { cipherSuites } = hello;
  for (let at = 0; at + 1 < cipherSuites.length; at += 2) {
    const id = cipherSuites.readUInt16BE(at);
    const usable = ciphers.some(
      (suite) =>
        suite.id === id &&
        suite.auth === 'aECDSA' &&
        (suite.minVersion === 'SSLv3' || hello.version >= TLS12),
    );
    if (usable) return curves;
  }
  return [];
}
