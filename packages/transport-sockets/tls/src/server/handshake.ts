import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { transportFailureReason } from '@dragoman/certificates';
import type { ConnectionInfo, Logger, TransportEvents } from '@dragoman/core';
import { HandshakeOutcome } from '../handshake-outcome.ts';
import type { KeyLog } from '../key-log.ts';
import { peerChain } from '../peer-chain.ts';
import { sessionId } from '../session-id.ts';
import type { SslStats } from '../stats.ts';
import { SessionInfo } from '../tls-info.ts';
import { countVerification } from '../verification.ts';
import type { HandshakePlan, ServerContext } from './server-context.ts';

export interface ServerHandshakeOptions {
  readonly info: ConnectionInfo;
  readonly stats: SslStats;
  readonly logger: Logger;
  readonly keyLog: KeyLog | undefined;
  readonly context: ServerContext;
  readonly plan: HandshakePlan;
  /** Wall time in ms. */
  now(): number;
}

/** Begins the server's side of TLS on a socket whose next bytes are the ClientHello that `plan` was made for. */
export function acceptTls(
  socket: Socket,
  events: TransportEvents,
  options: ServerHandshakeOptions,
): TLSSocket {
  const { info, stats, logger, keyLog, plan } = options;
  const { alpn, server } = plan;
  const tls = new TLSSocket(socket, {
    isServer: true,
    secureContext: plan.secureContext,
    requestCert: plan.requestCertificate,
    // Node's check of the certificate is not ours; but this way OpenSSL refuses a client that has none, and tells it why.
    rejectUnauthorized: plan.demandCertificate,
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
    ...(server === undefined ? {} : { server }),
  });
  const outcome = new HandshakeOutcome(tls, info, events, stats, logger, () => true);
  keyLog?.attach(tls, info);
  tls.once('secure', () => outcome.guard(() => finish(tls, outcome, options)));
  return tls;
}

function finish(tls: TLSSocket, outcome: HandshakeOutcome, options: ServerHandshakeOptions): void {
  const { info, stats, plan } = options;
  const chain = plan.requestCertificate ? peerChain(tls) : [];
  const verdict = verifyClient(tls, chain, options);
  if (verdict.failure !== '') {
    outcome.fail(verdict.failure);
    return;
  }
  if (!outcome.open) return;
  const version = tls.getProtocol() ?? '';
  const cipher = tls.getCipher().name;
  const reused = tls.isSessionReused();
  const tls13 = version === 'TLSv1.3';
  // A resumed session of TLS 1.2 exchanges no keys.
  const group = reused && !tls13 ? undefined : plan.group(tls13);
  stats.handshake.inc();
  if (reused) stats.sessionReused.inc();
  if (chain.length === 0) stats.noCertificate.inc();
  stats.versions.inc(version);
  stats.ciphers.inc(cipher);
  if (group !== undefined) stats.curves.inc(group);
  info.negotiatedProtocol = tls.alpnProtocol === false || tls.alpnProtocol === null ? '' : tls.alpnProtocol;
  info.tls = new SessionInfo({
    version,
    cipher,
    sessionId: sessionId(tls, version),
    peerChain: chain,
    validated: verdict.validated,
    own: plan.certificate,
    group,
    serverName: undefined,
  });
  // Node says so itself only for sockets of its own server; a session of HTTP/2 would wait for the end of the handshake.
  (tls as { secureConnecting?: boolean }).secureConnecting = false;
  outcome.succeed();
}

/** Before anything of the client reaches anybody. A certificate of a resumed session is looked at again: it may have expired, or be revoked. */
function verifyClient(
  tls: TLSSocket,
  chain: readonly Buffer[],
  { context, plan, stats, now }: ServerHandshakeOptions,
): { readonly failure: string; readonly validated: boolean } {
  const { validator, intermediates } = context;
  const [leaf] = chain;
  if (leaf === undefined && !plan.demandCertificate) return { failure: '', validated: false };
  if (validator === undefined || validator.mode === 'none') return { failure: '', validated: false };
  const whole =
    leaf !== undefined && chain.length === 1 && tls.isSessionReused() ? intermediates.chainOf(leaf) : chain;
  const result = validator.verify(whole, now(), { peer: 'client' });
  if (!result.ok) {
    countVerification(stats, result.reason);
    return { failure: transportFailureReason(result), validated: false };
  }
  if (result.tolerated !== undefined) countVerification(stats, result.tolerated.reason);
  intermediates.note(result.path);
  return { failure: '', validated: result.validated };
}
