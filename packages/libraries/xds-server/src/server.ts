import type { RequestListener } from 'node:http';
import { type ChannelOptions, Server, ServerCredentials } from '@grpc/grpc-js';
import { XdsError } from './errors.ts';
import { addXdsServices } from './grpc-service.ts';
import { XdsProtocol, type XdsProtocolOptions } from './protocol.ts';
import { restHandler } from './rest.ts';

export interface XdsServerOptions extends XdsProtocolOptions {
  /** Default: no TLS. */
  readonly credentials?: ServerCredentials;
  /** Options of grpc-js, over those of this package (keep-alive PINGs after 30 s, 100 streams a connection, the size of requests). */
  readonly channelOptions?: ChannelOptions;
}

/** Where to listen. */
export type ListenOptions =
  | {
      /** Default 0: the system chooses. */
      readonly port?: number;
      /** Default 127.0.0.1. */
      readonly host?: string;
    }
  | {
      /** A Unix socket. */
      readonly path: string;
    };

/** A control plane that listens. */
export interface XdsServer extends AsyncDisposable {
  /** Open streams, and more transports. */
  readonly protocol: XdsProtocol;
  /** Answers REST-JSON polls; for `http.createServer`. */
  readonly rest: RequestListener;
  /** The server of grpc-js, to add services of your own before it listens. */
  readonly grpc: Server;
  /** May be called for several addresses. Resolves with the port (0 for a Unix socket). Rejects when the address is taken. */
  listen(options?: ListenOptions): Promise<number>;
  /** Ends all streams, and resolves when connections are closed: at once, or after `graceMs` (default 1,000) by force. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** A server of every variant of xDS, for the resources of a cache. */
export function createXdsServer(options: XdsServerOptions): XdsServer {
  const protocol = new XdsProtocol(options);
  const { credentials = ServerCredentials.createInsecure(), channelOptions } = options;
  let closing = false;
  const grpc = new Server({
    'grpc.max_receive_message_length': protocol.limits.requestBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': 100,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 20_000,
    ...channelOptions,
  });
  addXdsServices(grpc, protocol, () => closing);

  const listen = (where: ListenOptions = {}): Promise<number> => {
    const address =
      'path' in where ? `unix:${where.path}` : addressOf(where.host ?? '127.0.0.1', where.port ?? 0);
    return new Promise((resolve, reject) => {
      grpc.bindAsync(address, credentials, (error, port) => {
        if (error === null) resolve('path' in where ? 0 : port);
        else reject(error);
      });
    });
  };
  const close = async ({ graceMs = 1000 }: { readonly graceMs?: number } = {}): Promise<void> => {
    closing = true;
    protocol.close(new XdsError('UNAVAILABLE', 'the control plane is closing'));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        grpc.forceShutdown();
        resolve();
      }, graceMs);
      grpc.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  };
  return { protocol, rest: restHandler(protocol), grpc, listen, close, [Symbol.asyncDispose]: () => close() };
}

function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
