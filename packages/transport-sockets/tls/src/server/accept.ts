import type { Socket } from 'node:net';
import { type ClientHello, type HelloFailure, HelloReader, parseClientHello } from '@dragoman/client-hello';
import type { Clock, ConnectionInfo, Logger, TransportAccept, TransportEvents } from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import type { BoringSslReason } from '../failures/boringssl-reasons.ts';
import { NOT_READY, reasonText } from '../failures/failure-reason.ts';
import type { KeyLog } from '../key-log.ts';
import type { FactoryStats, SslStats } from '../stats.ts';
import { acceptTls } from './handshake.ts';
import type { HandshakePlan, ServerContext } from './server-context.ts';

export interface AcceptOptions {
  readonly clock: Clock;
  readonly stats: SslStats;
  readonly logger: Logger;
  readonly factoryStats: FactoryStats;
  readonly keyLog: KeyLog | undefined;
  /** What connections that begin now are to use; undefined while a secret is not there. */
  context(): ServerContext | undefined;
}

/** A ClientHello has 16 KB at most; so many bytes it may take in records of a few bytes. */
const MAX_PEEKED_BYTES = 64 * 1024;
/** A fatal alert, handshake_failure, as it goes over the wire before there are keys. */
const HANDSHAKE_FAILURE_ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 40]);

/** One connection on its way to TLS: gathers the ClientHello, chooses what it is answered with, and begins. */
export class ServerAccept implements TransportAccept {
  private readonly info: ConnectionInfo;
  private readonly options: AcceptOptions;
  private readonly reader = new HelloReader();
  private context: ServerContext | undefined = undefined;
  private plan: HandshakePlan | undefined = undefined;

  constructor(info: ConnectionInfo, options: AcceptOptions) {
    this.info = info;
    this.options = options;
  }

  inspect(peeked: Buffer): 'wait' | 'ready' | 'close' {
    this.context = this.options.context();
    if (this.context === undefined) {
      this.options.factoryStats.secretsNotReady.inc();
      this.info.transportFailureReason = NOT_READY;
      return 'close';
    }
    const progress = this.reader.read(peeked);
    if (progress === 'more')
      return peeked.length < MAX_PEEKED_BYTES ? 'wait' : this.refuse('EXCESSIVE_MESSAGE_SIZE');
    if (progress !== 'message') return this.refuse(progress);
    const hello = parseClientHello(this.reader.message);
    if (typeof hello === 'string') return this.refuse(hello);
    this.plan = this.planFor(hello, this.context);
    return 'ready';
  }

  wrap(socket: unknown, events: TransportEvents): unknown {
    const { info, context, plan } = this;
    const { stats, logger, keyLog, clock } = this.options;
    if (context === undefined || plan === undefined) throw new Error('wrap before inspect said ready');
    if (plan.secureContext === undefined) return this.reject(socket as Socket, events);
    return acceptTls(socket as Socket, events, {
      info,
      stats,
      logger,
      keyLog,
      context,
      plan,
      now: () => clock.wallTime(),
    });
  }

  private planFor(hello: ClientHello, context: ServerContext): HandshakePlan {
    const { info } = this;
    const { clock, stats } = this.options;
    const serverName = asciiLower(hello.serverName);
    if (info.requestedServerName === '') info.requestedServerName = serverName;
    if (info.applicationProtocols.length === 0) info.applicationProtocols = hello.applicationProtocols ?? [];
    const plan = context.plan(hello, serverName, clock.wallTime());
    if (plan.staple !== 'not_asked') stats.ocspStapleRequests.inc();
    if (plan.staple === 'staple') stats.ocspStapleResponses.inc();
    if (plan.staple === 'omit') stats.ocspStapleOmitted.inc();
    if (plan.staple === 'fail') stats.ocspStapleFailed.inc();
    return plan;
  }

  private refuse(failure: HelloFailure): 'close' {
    this.options.stats.connectionError.inc();
    this.info.transportFailureReason = reasonText([failure]);
    return 'close';
  }

  /** No certificate may be used for this client: it is told so, as BoringSSL tells it. */
  private reject(socket: Socket, events: TransportEvents): Socket {
    const reason: BoringSslReason = 'CONNECTION_REJECTED';
    this.options.stats.connectionError.inc();
    socket.end(HANDSHAKE_FAILURE_ALERT);
    setImmediate(() => events.onFailed(reasonText([reason])));
    return socket;
  }
}
