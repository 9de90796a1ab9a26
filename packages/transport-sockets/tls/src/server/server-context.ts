import { constants, createHash } from 'node:crypto';
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
import type { Intermediates } from '../peer-chain.ts';
import { serviceServer, SessionStore } from './session-store.ts';
import {
  nodeTicketKeys,
  ownTicketKey,
  ownTicketPeriod,
  randomTicketKey,
  ticketKeyFor,
} from './ticket-keys.ts';

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
  /** By the index of the key that tickets are encrypted with. */
  secureContext(ticketKey: number): SecureContext;
}

/** What outlives a context: of a listener's transport socket on this thread. */
export interface ServerMemory {
  readonly processKey: Uint8Array;
  /** Makes ticket keys that this thread alone has. */
  readonly ticketSalt: Uint8Array;
  /** A ticket that was given before a swap is good after it, and so is what stood between its certificate and an authority. */
  readonly intermediates: Intermediates;
}

/** What a context is made of. */
export interface ServerParts {
  readonly material: Material;
  /** `session_ticket_keys`. Undefined: keys of one's own, the same on all workers, that change after two days. */
  readonly ticketKeys: readonly Buffer[] | undefined;
}

/** Certificates, keys and rules of a listener, as they are at one time. A connection keeps the one it began with. */
export class ServerContext {
  readonly validator: PeerValidator | undefined;
  readonly intermediates: Intermediates;
  readonly material: Material;
  private readonly settings: ServerSettings;
  private readonly parts: ServerParts;
  private readonly memory: ServerMemory;
  private readonly chooser: CertificateChooser<ServedCertificate>;
  private readonly protocols: ReadonlyMap<string, Buffer>;
  private readonly sessions: SessionStore | undefined;
  private readonly servers = new Map<string, Server>();
  private readonly ticketKeys: readonly Buffer[];
  /** Of ticket keys of one's own, from the epoch on. */
  private readonly period: number;
  private readonly askMode: 'none' | 'request' | 'require';

  /**
   * @param nowMs wall time
   * @throws ConfigError with paths below the DownstreamTlsContext
   */
  constructor(settings: ServerSettings, parts: ServerParts, nowMs: number, memory: ServerMemory) {
    const { material } = parts;
    this.settings = settings;
    this.parts = parts;
    this.memory = memory;
    this.material = material;
    this.intermediates = memory.intermediates;
    this.period = ownTicketPeriod(nowMs);
    this.validator = material.validation?.validator;
    this.askMode = askMode(this.validator, settings.requireClientCertificate);
    this.sessions = settings.statefulSessions ? new SessionStore() : undefined;
    this.protocols = new Map(settings.alpn.map((protocol) => [protocol, wireProtocol(protocol)]));
    const idContext = sessionIdContext(settings, material);
    this.ticketKeys = this.readTicketKeys(idContext);
    const shared = { sessionIdContext: idContext, ca: authorities(material.validation) };
    const served = material.certificates.map((own) =>
      atPath(own.configPath, () => serve(own, settings, shared, this.ticketKeys)),
    );
    this.chooser = new CertificateChooser(served, settings.fullScan, settings.staplePolicy);
  }

  /** Time for other ticket keys. */
  isStale(nowMs: number): boolean {
    if (!this.settings.tickets || this.parts.ticketKeys !== undefined) return false;
    return ownTicketPeriod(nowMs) !== this.period;
  }

  /** The same, with new keys. */
  renewed(nowMs: number): ServerContext {
    return new ServerContext(this.settings, this.parts, nowMs, this.memory);
  }

  /**
   * Tickets of other workers and proxies are not taken where clients show certificates: the chain of a client that comes back with a ticket is known
   * only to the worker that saw it.
   */
  private readTicketKeys(idContext: string): readonly Buffer[] {
    const { ticketKeys: configured } = this.parts;
    const { processKey, ticketSalt } = this.memory;
    const shared = this.askMode === 'none';
    if (configured !== undefined) return nodeTicketKeys(configured, shared ? new Uint8Array() : ticketSalt);
    return [shared ? ownTicketKey(processKey, idContext, this.period) : randomTicketKey()];
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
      secureContext: refused ? undefined : certificate.secureContext(ticketKeyFor(hello, this.ticketKeys)),
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

/** A context for each ticket key: the first one now, the others when a client comes back with a ticket of theirs. */
function serve(
  own: OwnCertificate,
  settings: ServerSettings,
  shared: { readonly sessionIdContext: string; readonly ca: string[] },
  ticketKeys: readonly Buffer[],
): ServedCertificate {
  const problem = ocspConfigProblem(own.leaf, own.ocsp, settings.staplePolicy);
  if (problem !== undefined) throw ConfigError.at('ocsp_staple', problem);
  const options = paramOptions(settings.params, own.extraAlgorithms);
  const { SSL_OP_NO_TICKET, SSL_OP_CIPHER_SERVER_PREFERENCE } = constants;
  const make = (ticketKey: Buffer | undefined): SecureContext =>
    createSecureContext({
      ...options,
      secureOptions:
        options.secureOptions |
        (settings.tickets ? 0 : SSL_OP_NO_TICKET) |
        (settings.preferClientCiphers ? 0 : SSL_OP_CIPHER_SERVER_PREFERENCE),
      cert: own.chainPem,
      key: own.keyPem,
      ...shared,
      ...(ticketKey === undefined ? {} : { ticketKeys: ticketKey }),
      ...(settings.sessionTimeout === undefined ? {} : { sessionTimeout: settings.sessionTimeout }),
    });
  const contexts = new Map([[0, make(ticketKeys[0])]]);
  return {
    own,
    secureContext(ticketKey) {
      let context = contexts.get(ticketKey);
      if (context === undefined) {
        context = make(ticketKeys[ticketKey]);
        contexts.set(ticketKey, context);
      }
      return context;
    },
  };
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
