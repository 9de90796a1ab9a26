import type { TLSSocket } from 'node:tls';
import type { ConnectionInfo, Logger, TransportEvents } from '@dragoman/core';
import type { SslStats } from './stats.ts';
import { describeTlsError } from './failures/failure-reason.ts';

/**
 * The way from a TLS socket to its connection: takes care of everything that the socket can end with, before its handshake is through and
 * after. Nothing is left unhandled, and the connection hears of it once.
 *
 * The way is cut as soon as nothing more is to be told: a closed socket stays in memory for a while, and is not to keep its connection there.
 */
export class HandshakeOutcome {
  private readonly socket: TLSSocket;
  private readonly info: ConnectionInfo;
  private events: TransportEvents | undefined;
  private readonly stats: SslStats;
  private readonly answered: () => boolean;
  private readonly logger: Logger;
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

  /** False when it is over already: the peer is gone. */
  get open(): boolean {
    return this.events !== undefined;
  }

  /** The handshake is through, and the peer is one to talk to. */
  succeed(): void {
    const { events } = this;
    this.events = undefined;
    events?.onReady();
  }

  /** The peer is not one to talk to. */
  fail(reason: string): void {
    const { events } = this;
    this.events = undefined;
    events?.onFailed(reason);
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
    if (this.events !== undefined) {
      this.fail(reason);
      return;
    }
    // Later ones (an alert about our certificate comes after a TLS 1.3 handshake) are told by the connection's end. Node leaves a socket
    // open on which TLS has failed.
    this.info.transportFailureReason ||= reason;
    this.socket.destroy(error);
  };
}
