import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { transportFailureReason } from '@dragoman/certificates';
import type { ConnectionInfo, Logger, TransportEvents } from '@dragoman/core';
import { reasonText } from '../failures/failure-reason.ts';
import { HandshakeOutcome } from '../handshake-outcome.ts';
import type { KeyLog } from '../key-log.ts';
import { groupNamed } from '../params/groups.ts';
import { peerChain } from '../peer-chain.ts';
import { sessionId } from '../session-id.ts';
import type { SslStats } from '../stats.ts';
import { SessionInfo } from '../tls-info.ts';
import { countVerification } from '../verification.ts';
import type { ClientContext } from './client-context.ts';
import { isKeyUsageWrong } from './key-usage.ts';
import type { CachedSession } from './session-cache.ts';

export interface ClientHandshakeOptions {
  readonly info: ConnectionInfo;
  readonly stats: SslStats;
  readonly logger: Logger;
  readonly keyLog: KeyLog | undefined;
  readonly context: ClientContext;
  /** SNI; empty for none. */
  readonly serverName: string;
  /** In the form of the extension; undefined for no ALPN. */
  readonly alpn: Buffer | undefined;
  readonly verifySubjectAltNames: readonly string[] | undefined;
  readonly enforceKeyUsage: boolean;
  /** Wall time in ms. */
  now(): number;
}

/** A server's answer that is nothing but an alert is as long as this. */
const ALERT_BYTES = 7;

/** Begins the client's side of TLS on a connected socket. */
export function connectTls(
  socket: Socket,
  events: TransportEvents,
  options: ClientHandshakeOptions,
): TLSSocket {
  const { info, stats, logger, keyLog, context, serverName, alpn } = options;
  const resumed = context.sessions.take(serverName);
  const tls = connect({
    socket,
    secureContext: context.secureContext,
    // The certificate is verified here, before anybody hears that the connection is there.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(serverName === '' ? {} : { servername: serverName }),
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
    ...(resumed === undefined ? {} : { session: resumed.session }),
  });
  const outcome = new HandshakeOutcome(
    tls,
    info,
    events,
    stats,
    logger,
    () => socket.bytesRead > ALERT_BYTES,
  );
  keyLog?.attach(tls, info);
  const handshake = new ClientHandshake(tls, outcome, resumed, options);
  tls.once('secureConnect', () => outcome.guard(() => handshake.finish()));
  if (context.sessions.enabled) tls.on('session', (session: Buffer) => handshake.keep(session));
  return tls;
}

class ClientHandshake {
  private readonly tls: TLSSocket;
  private readonly outcome: HandshakeOutcome;
  private readonly resumed: CachedSession | undefined;
  private readonly options: ClientHandshakeOptions;
  private chain: readonly Buffer[] = [];
  private verified = false;

  constructor(
    tls: TLSSocket,
    outcome: HandshakeOutcome,
    resumed: CachedSession | undefined,
    options: ClientHandshakeOptions,
  ) {
    this.tls = tls;
    this.outcome = outcome;
    this.resumed = resumed;
    this.options = options;
  }

  finish(): void {
    const { tls, outcome } = this;
    const { info, stats, context, serverName } = this.options;
    const reused = tls.isSessionReused();
    this.chain = reused ? (this.resumed?.chain ?? []) : peerChain(tls);
    const cipher = tls.getCipher().name;
    const verdict = this.verify(cipher, reused);
    if (verdict.failure !== '') {
      outcome.fail(verdict.failure);
      return;
    }
    if (!outcome.open) return;
    this.verified = true;
    const version = tls.getProtocol() ?? '';
    const group = groupOf(tls);
    stats.handshake.inc();
    if (reused) stats.sessionReused.inc();
    if (this.chain.length === 0) stats.noCertificate.inc();
    stats.versions.inc(version);
    stats.ciphers.inc(cipher);
    if (group !== undefined) stats.curves.inc(group);
    info.negotiatedProtocol = tls.alpnProtocol === false || tls.alpnProtocol === null ? '' : tls.alpnProtocol;
    info.requestedServerName = serverName;
    info.tls = new SessionInfo({
      version,
      cipher,
      sessionId: sessionId(tls, version),
      peerChain: this.chain,
      validated: verdict.validated,
      own: context.own,
      group,
      serverName,
    });
    outcome.succeed();
  }

  /** A session that came over a connection whose server was verified. */
  keep(session: Buffer): void {
    if (!this.verified || this.chain.length === 0) return;
    const { context, serverName } = this.options;
    const singleUse = this.tls.getProtocol() === 'TLSv1.3';
    context.sessions.add(serverName, { session, chain: this.chain, singleUse });
  }

  private verify(cipher: string, reused: boolean): { readonly failure: string; readonly validated: boolean } {
    const { context, stats, serverName, verifySubjectAltNames, enforceKeyUsage, now } = this.options;
    const [leaf] = this.chain;
    if (leaf !== undefined && !reused && isKeyUsageWrong(leaf, cipher)) {
      if (enforceKeyUsage) {
        stats.connectionError.inc();
        return { failure: reasonText(['KEY_USAGE_BIT_INCORRECT']), validated: false };
      }
      stats.wasKeyUsageInvalid.inc();
    }
    const { validator } = context;
    const asked = (verifySubjectAltNames?.length ?? 0) > 0;
    if (validator.mode === 'none' && !asked) return { failure: '', validated: false };
    const result = validator.verify(this.chain, now(), { peer: 'server', verifySubjectAltNames, serverName });
    if (!result.ok) {
      countVerification(stats, result.reason);
      return { failure: transportFailureReason(result), validated: false };
    }
    if (result.tolerated !== undefined) countVerification(stats, result.tolerated.reason);
    return { failure: '', validated: result.validated };
  }
}

/** By BoringSSL's name; undefined where no keys were exchanged in a group. */
function groupOf(tls: TLSSocket): string | undefined {
  const { name } = tls.getEphemeralKeyInfo() as { readonly name?: string };
  return name === undefined ? undefined : (groupNamed(name)?.name ?? name);
}
