import { constants, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { createSecureContext, type SecureContext, type Server } from 'node:tls';
import { type ClientHello, Cursor, EXTENSION, extensionData } from '@dragoman/client-hello';
import {
  type OcspStaplePolicy,
  ocspConfigProblem,
  type PeerValidator,
  writePem,
} from '@dragoman/certificates';
import { atPath, ConfigError } from '@dragoman/core';
import { abilitiesOf, CertificateChooser } from '../certificates/certificate-choice.ts';
import type { OwnCertificate } from '../certificates/own-certificate.ts';
import type { PeerValidation } from '../certificates/peer-validation.ts';
import type { Material } from '../common-context.ts';
import { wireProtocol } from '../params/alpn.ts';
import { chosenGroup } from '../params/groups.ts';
import { paramOptions, type TlsParams } from '../params/tls-params.ts';
import { Intermediates } from '../peer-chain.ts';
import { serviceServer, SessionStore } from './session-store.ts';

/** Of DownstreamTlsContext, what contexts are made with. */
export interface ServerSettings {
  readonly params: TlsParams;
  readonly alpn: readonly string[];
  readonly requireClientCertificate: boolean;
  readonly requireSni: boolean;
  readonly fullScan: boolean;
  readonly staplePolicy: OcspStaplePolicy;
  readonly preferClientCiphers: boolean;
  readonly tickets: boolean;
  readonly statefulSessions: boolean;
  /** Seconds; undefined for OpenSSL's default, two hours. */
  readonly sessionTimeout: number | undefined;
}

/** How one connection is set up; worked out from its ClientHello. */
export interface HandshakePlan {
  /** Undefined when no certificate may be used for this client. */
  readonly secureContext: SecureContext | undefined;
  readonly certificate: OwnCertificate;
  /** In the form of the extension, with its length byte; undefined for no ALPN. */
  readonly alpn: Buffer | undefined;
  readonly server: Server | undefined;
  readonly requestCertificate: boolean;
  /** A client without one is refused in the handshake. */
  readonly demandCertificate: boolean;
  readonly staple: ReturnType<CertificateChooser<ServedCertificate>['choose']>['staple'];
  readonly group: (tls13: boolean) => string | undefined;
}

interface ServedCertificate {
  readonly own: OwnCertificate;
  readonly secureContext: SecureContext;
}

/**
 * Tickets are encrypted with keys of this context alone. After this time there are new ones, so that a key that leaks opens two days
 * and not years (BoringSSL changes its keys as often).
 */
const TICKET_KEY_LIFE_MS = 2 * 24 * 3600 * 1000;
const TICKET_KEY_BYTES = 48;

/** Certificates, keys and rules of a listener, as they are at one time. A connection keeps the one it began with. */
export class ServerContext {
  readonly validator: PeerValidator | undefined;
  readonly intermediates: Intermediates = new Intermediates();
  readonly material: Material;
  private readonly settings: ServerSettings;
  private readonly chooser: CertificateChooser<ServedCertificate>;
  private readonly protocols: ReadonlyMap<string, Buffer>;
  private readonly sessions: SessionStore | undefined;
  private readonly servers = new Map<string, Server>();
  /** Of ticket keys, from the epoch on. */
  private readonly period: number;
  private readonly processKey: Uint8Array;
  private readonly askMode: 'none' | 'request' | 'require';

  /**
   * @param nowMs wall time
   * @throws ConfigError with paths below the CommonTlsContext
   */
  constructor(settings: ServerSettings, material: Material, nowMs: number, processKey: Uint8Array) {
    this.settings = settings;
    this.material = material;
    this.period = Math.floor(nowMs / TICKET_KEY_LIFE_MS);
    this.processKey = processKey;
    this.validator = material.validation?.validator;
    this.askMode = askMode(this.validator, settings.requireClientCertificate);
    this.sessions = settings.statefulSessions ? new SessionStore() : undefined;
    this.protocols = new Map(settings.alpn.map((protocol) => [protocol, wireProtocol(protocol)]));
    const idContext = sessionIdContext(settings, material);
    const shared = {
      ticketKeys: this.askMode === 'none' ? this.sharedKeys(idContext) : randomBytes(TICKET_KEY_BYTES),
      sessionIdContext: idContext,
      ca: authorities(material.validation),
    };
    const served = material.certificates.map((own) =>
      atPath(own.configPath, () => serve(own, settings, shared)),
    );
    this.chooser = new CertificateChooser(served, settings.fullScan, settings.staplePolicy);
  }

  /** Time for other ticket keys. */
  isStale(nowMs: number): boolean {
    return this.settings.tickets && Math.floor(nowMs / TICKET_KEY_LIFE_MS) !== this.period;
  }

  /** The same, with new keys. */
  renewed(nowMs: number): ServerContext {
    return new ServerContext(this.settings, this.material, nowMs, this.processKey);
  }

  /**
   * The same on every worker, so that a ticket of one is good on another. Not with client certificates: the chain of a client that comes back with a
   * ticket is known only to the worker that saw it.
   */
  private sharedKeys(idContext: string): Buffer {
    return Buffer.from(
      hkdfSync('sha256', this.processKey, idContext, `dragoman tls tickets ${this.period}`, TICKET_KEY_BYTES),
    );
  }

  /**
   * @param hello valid only until this returns
   * @param serverName of it, in lower case
   */
  plan(hello: ClientHello, serverName: string, nowMs: number): HandshakePlan {
    const { settings, askMode: mode } = this;
    const { params } = settings;
    const tls13 = params.maxVersion === 'TLSv1.3';
    const client = abilitiesOf(hello, serverName, params.ciphers.suites, tls13);
    const { certificate, staple, named } = this.chooser.choose(client, nowMs);
    const refused = staple === 'fail' || (settings.requireSni && (serverName === '' || !named));
    const offersTls13 = tls13 && offersVersion13(hello);
    const group = chosenGroup(hello, params.groups, offersTls13, settings.preferClientCiphers);
    const resumable =
      !offersTls13 && this.sessions !== undefined && wantsStoredSession(hello, settings.tickets);
    return {
      secureContext: refused ? undefined : certificate.secureContext,
      certificate: certificate.own,
      alpn: this.chooseProtocol(hello),
      server: this.serverFor(certificate.own, staple === 'staple', resumable),
      requestCertificate: mode !== 'none',
      demandCertificate: mode === 'require',
      staple,
      group: (is13) => (is13 === offersTls13 ? group?.name : undefined),
    };
  }

  /** Ours decide. Without a common protocol the connection goes on without ALPN, where OpenSSL would end it. */
  private chooseProtocol(hello: ClientHello): Buffer | undefined {
    const offered = hello.applicationProtocols;
    if (offered === undefined) return undefined;
    for (const [protocol, wire] of this.protocols) if (offered.includes(protocol)) return wire;
    return undefined;
  }

  private serverFor(own: OwnCertificate, staples: boolean, stores: boolean): Server | undefined {
    if (!staples && !stores) return undefined;
    const key = `${stores ? 'stores' : ''} ${staples ? this.material.certificates.indexOf(own) : ''}`;
    let server = this.servers.get(key);
    if (server === undefined) {
      server = serviceServer({
        ocsp: staples ? own.ocsp?.der : undefined,
        sessions: stores ? this.sessions : undefined,
      });
      this.servers.set(key, server);
    }
    return server;
  }
}

/** Whether clients are asked for a certificate, and may go without. */
function askMode(validator: PeerValidator | undefined, required: boolean): 'none' | 'request' | 'require' {
  if (required) return 'require';
  return validator?.mode ?? 'none';
}

function serve(
  own: OwnCertificate,
  settings: ServerSettings,
  shared: { readonly ticketKeys: Buffer; readonly sessionIdContext: string; readonly ca: string[] },
): ServedCertificate {
  const problem = ocspConfigProblem(own.leaf, own.ocsp, settings.staplePolicy);
  if (problem !== undefined) throw ConfigError.at('ocsp_staple', problem);
  const options = paramOptions(settings.params, own.extraAlgorithms);
  const { SSL_OP_NO_TICKET, SSL_OP_CIPHER_SERVER_PREFERENCE } = constants;
  const secureContext = createSecureContext({
    ...options,
    secureOptions:
      options.secureOptions |
      (settings.tickets ? 0 : SSL_OP_NO_TICKET) |
      (settings.preferClientCiphers ? 0 : SSL_OP_CIPHER_SERVER_PREFERENCE),
    cert: own.chainPem,
    key: own.keyPem,
    ...shared,
    ...(settings.sessionTimeout === undefined ? {} : { sessionTimeout: settings.sessionTimeout }),
  });
  return { own, secureContext };
}

/** Named in the CertificateRequest. None is an empty list: undefined would be those that Node trusts. */
function authorities(validation: PeerValidation | undefined): string[] {
  return (validation?.validator.authorities ?? []).map(({ der }) => writePem('CERTIFICATE', der));
}

/** Sessions are good only where the same certificates and rules are: the ids of their contexts differ elsewhere. */
function sessionIdContext(settings: ServerSettings, { certificates, validation }: Material): string {
  const hash = createHash('sha256');
  for (const { details } of certificates)
    hash.update(
      JSON.stringify([details.subject, details.dnsSans, details.ipSans, details.uriSans, details.issuer]),
    );
  for (const { der } of validation?.validator.authorities ?? []) hash.update(der);
  hash.update(String(settings.requireClientCertificate));
  return hash.digest('hex').slice(0, 32);
}

const TLS13 = 0x0304;

function offersVersion13(hello: ClientHello): boolean {
  const data = extensionData(hello, EXTENSION.supportedVersions);
  const list = data === undefined ? undefined : new Cursor(data).vector8();
  if (list === undefined) return false;
  for (let at = 0; at + 1 < list.length; at += 2) if (list.readUInt16BE(at) === TLS13) return true;
  return false;
}

/** A client that takes no ticket, or that has a session id and no ticket to show. */
function wantsStoredSession(hello: ClientHello, tickets: boolean): boolean {
  const ticket = extensionData(hello, EXTENSION.sessionTicket);
  if (ticket === undefined || !tickets) return true;
  return ticket.length === 0 && hello.sessionId.length > 0;
}
