import type { UpstreamHost } from '../hosts/host.ts';

/** A TCP connection, as far as whoever ends all of a host's needs it. */
export interface ClosableConnection {
  close(mode: 'now', details: string): void;
}

/** The TCP connections of a cluster by host, whoever holds them. Kept only where they are to end with their host's health. */
export class OpenTcp {
  private readonly byHost = new Map<UpstreamHost, Set<ClosableConnection>>();

  add(host: UpstreamHost, connection: ClosableConnection): void {
    const known = this.byHost.get(host);
    if (known === undefined) this.byHost.set(host, new Set([connection]));
    else known.add(connection);
  }

  remove(host: UpstreamHost, connection: ClosableConnection): void {
    const known = this.byHost.get(host);
    if (known?.delete(connection) === true && known.size === 0) this.byHost.delete(host);
  }

  /** Ends those of a host now, also those on their way. */
  close(host: UpstreamHost): void {
    for (const connection of [...(this.byHost.get(host) ?? [])])
      connection.close('now', 'the host is unhealthy');
  }
}
