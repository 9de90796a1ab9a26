import { EchoSchema, RawBufferSchema } from '@dragoman/api';
import {
  type Cluster,
  type Connection,
  type ConnectionHandler,
  defineNetworkFilter,
  type NetworkFilter,
  type NetworkFilterConnection,
} from '@dragoman/core';

/**
 * A made-up protocol of lines. The server greets with `hello`. The client may say `STARTTLS`; the server says `go ahead`, and both turn.
 * Everything else comes back with what it came over.
 */
export const server = defineNetworkFilter({
  name: 'test.dialogue_server',
  config: EchoSchema,
  terminal: true,
  create: () => (filtered) => new Server(filtered),
});

class Server implements NetworkFilter {
  private readonly connection: Connection;

  constructor({ connection }: NetworkFilterConnection) {
    this.connection = connection;
  }

  onNewConnection(): undefined {
    this.connection.writeText('hello\n');
  }

  onData(data: Buffer): undefined {
    const { connection } = this;
    const text = data.toString('latin1');
    if (text === 'STARTTLS\n') {
      connection.writeText('go ahead\n');
      if (connection.startSecureTransport?.() !== true) connection.writeText('cannot\n');
      return undefined;
    }
    if (text === 'TALK\n') {
      // Goes on talking although the peer has not begun its handshake.
      connection.writeText('go ahead\n');
      connection.startSecureTransport?.();
      connection.writeText('inside\n');
      connection.writeBody(Buffer.from('and more\n'), false);
      connection.end();
      return undefined;
    }
    // Bytes behind the command came in the clear.
    if (text.startsWith('STARTTLS\n')) {
      connection.close('now', 'pipelined');
      return undefined;
    }
    connection.writeText(`${connection.info.tls?.version ?? 'plain'} ${text}`);
    return undefined;
  }

  onEnd(): void {
    this.connection.end();
  }
}

/** Gives its client's bytes to a server of the same protocol in cluster `up`, over TLS. */
export const relay = defineNetworkFilter({
  name: 'test.dialogue_relay',
  config: RawBufferSchema,
  terminal: true,
  create:
    (_, { clusters }) =>
    (filtered) =>
      new Relay(filtered, clusters.get('up') as Cluster),
});

class Relay implements NetworkFilter, ConnectionHandler {
  private readonly downstream: Connection;
  private readonly cluster: Cluster;
  private upstream: Connection | undefined = undefined;
  private greeted = false;
  private held = '';

  constructor({ connection }: NetworkFilterConnection, cluster: Cluster) {
    this.downstream = connection;
    this.cluster = cluster;
  }

  onNewConnection(): undefined {
    const host = this.cluster.chooseHost(undefined);
    if (host === undefined) throw new Error('no host');
    this.cluster.newTcpConnection(host, 'default', {
      onPoolReady: (connection) => {
        this.upstream = connection;
        const { downstream } = this;
        connection.setHandler({
          onData: (data) => this.onUpstreamData(data),
          onEnd: () => downstream.end(),
          onWritable() {},
          onClose: (_, reason) => downstream.close('flush', reason === '' ? 'upstream closed' : reason),
        });
      },
      onPoolFailure: (reason) => this.downstream.close('now', reason),
    });
  }

  private onUpstreamData(data: Buffer): void {
    const { upstream, downstream } = this;
    const text = data.toString('latin1');
    if (!this.greeted && text === 'hello\n') upstream?.writeText('STARTTLS\n');
    else if (!this.greeted && text === 'go ahead\n') {
      this.greeted = true;
      downstream.writeText(`${upstream?.startSecureTransport?.()} ${upstream?.startSecureTransport?.()}\n`);
      // Before the handshake: waits for it.
      upstream?.writeText(this.held);
    } else downstream.writeText(`${upstream?.info.tls?.version}: ${text}`);
  }

  onData(data: Buffer): undefined {
    if (this.greeted) this.upstream?.writeText(data.toString('latin1'));
    else this.held += data.toString('latin1');
  }

  onEnd(): void {
    this.upstream?.end();
  }

  onWritable(): void {}

  onClose(): void {
    this.upstream?.close('now');
  }
}
