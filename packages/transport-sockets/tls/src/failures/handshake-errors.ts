import type { TLSSocket } from 'node:tls';
import type { ConnectionInfo, Logger, TransportEvents } from '@dragoman/core';
import type { SslStats } from '../stats.ts';
import { describeTlsError } from './failure-reason.ts';

/**
 * Takes care of everything that a TLS socket can end with, before its handshake is through and after: nothing is left unhandled, and the
 * connection hears of it once.
 */
export class HandshakeErrors {
  private readonly socket: TLSSocket;
  private readonly info: ConnectionInfo;
  private readonly events: TransportEvents;
  private readonly stats: SslStats;
  private readonly answered: () => boolean;
  private readonly logger: Logger;
  private settled = false;
  private seen = false;

  /** @param answered whether anything but an error came from a server; see {@link describeTlsError} */
  constructor(
    socket: TLSSocket,
    info: ConnectionInfo,
    events: TransportEvents,
    stats: SslStats,
    logger: Logger,
    answered: () => boolean,
  ) {
    this.socket = socket;
    this.info = info;
    this.events = events;
    this.stats = stats;
    this.answered = answered;
    this.logger = logger;
    // The same error may come as both, as the first only, or as the second: it depends on the side, and on how far the handshake is.
    socket.on('error', this.onError);
    socket.on('_tlsError', this.onError);
    // It went away without an error.
    socket.on('close', () => this.fail(''));
  }

  /** The handshake is through, and the peer is one to talk to. @returns false when it is over already */
  succeed(): boolean {
    if (this.settled) return false;
    this.settled = true;
    return true;
  }

  /** The peer is not one to talk to. */
  fail(reason: string): void {
    if (this.settled) return;
    this.settled = true;
    this.events.onFailed(reason);
  }

  /** Runs what belongs to the end of the handshake. A bug in it costs the connection, not the thread. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.logger.error(
        `[C${this.info.id}] TLS handshake: ${error instanceof Error ? error.stack : String(error)}`,
      );
      this.fail('');
      this.socket.destroy();
    }
  }

  private readonly onError = (error: Error): void => {
    if (this.seen) return;
    this.seen = true;
    const { reason, counted, missingCertificate } = describeTlsError(error, this.answered());
    if (counted) this.stats.connectionError.inc();
    if (missingCertificate) this.stats.failVerifyNoCert.inc();
    if (!this.settled) {
      this.fail(reason);
      return;
    }
    // Later ones (an alert about our certificate comes after a TLS 1.3 handshake) are told by the connection's end. Node leaves a socket
    // open on which TLS has failed.
    this.info.transportFailureReason = reason;
    this.socket.destroy(error);
  };
}
