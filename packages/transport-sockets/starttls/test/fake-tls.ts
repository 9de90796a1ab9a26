import { connect, createSecureContext, TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import { DownstreamTlsContextSchema, UpstreamTlsContextSchema } from '@dragoman/api';
import type {
  ConnectionInfo,
  DownstreamTransportSocket,
  TransportEvents,
  TransportOptions,
  TransportSocketExtension,
  UpstreamTransportSocket,
} from '@dragoman/core';
import { TestAuthority } from '@dragoman/testing';

const root = TestAuthority.root();
/** What the fake servers show. */
export const certificate = root.issue({ subject: 'CN=server', san: [{ dns: 'a.test' }] });
export const authority: string = root.pem;

const HANDSHAKE = 22;

/** TLS as simple as can be: one certificate, and who does not know the authority is refused. */
export class FakeTls implements DownstreamTransportSocket, UpstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  readonly serverName = 'a.test';
  readonly applicationProtocols: readonly string[] = ['made-up'];
  /** Messages it was made with, and what happened. */
  readonly seen: string[] = [];

  accept(info: ConnectionInfo) {
    return {
      inspect: (peeked: Buffer): 'ready' | 'close' => {
        this.seen.push(`inspect ${peeked.length > 0 ? peeked[0] : 'nothing'}`);
        if (peeked[0] === HANDSHAKE) return 'ready';
        info.transportFailureReason = 'no handshake';
        return 'close';
      },
      wrap: (socket: unknown, events: TransportEvents): TLSSocket => {
        const tls = new TLSSocket(socket as Socket, {
          isServer: true,
          secureContext: createSecureContext({ cert: certificate.pem, key: certificate.keyPem }),
        });
        this.watch(tls, 'secure', info, events);
        return tls;
      },
    };
  }

  wrap(
    socket: unknown,
    info: ConnectionInfo,
    options: TransportOptions | undefined,
    events: TransportEvents,
  ): TLSSocket {
    this.seen.push(`wrap ${options?.key}`);
    const tls = connect({ socket: socket as Socket, ca: authority, servername: this.serverName });
    this.watch(tls, 'secureConnect', info, events);
    return tls;
  }

  close(): void {
    this.seen.push('close');
  }

  private watch(tls: TLSSocket, event: string, info: ConnectionInfo, events: TransportEvents): void {
    tls.once(event, () => {
      info.tls = { version: tls.getProtocol() ?? '', cipher: tls.getCipher().name };
      this.seen.push('ready');
      events.onReady();
    });
    tls.on('error', (error) => events.onFailed((error as NodeJS.ErrnoException).code ?? error.message));
  }

  /** As an assembly lists it. */
  readonly extension: TransportSocketExtension = {
    category: 'transport-sockets',
    name: 'envoy.transport_sockets.tls',
    config: DownstreamTlsContextSchema,
    configAliases: [UpstreamTlsContextSchema],
    createDownstream: (config: { readonly $typeName: string }) => {
      this.seen.push(config.$typeName);
      return this;
    },
    createUpstream: (config: { readonly $typeName: string }) => {
      this.seen.push(config.$typeName);
      return this;
    },
  };
}
