import { EchoSchema } from '@dragoman/api';
import { defineNetworkFilter, type NetworkFilter, type NetworkFilterConnection } from '@dragoman/core';

/** `envoy.filters.network.echo`. */
export const echo = defineNetworkFilter({
  name: 'envoy.filters.network.echo',
  config: EchoSchema,
  terminal: true,
  create: () => (filtered) => new EchoFilter(filtered),
});

/** Reads no faster than the peer takes its own bytes back. */
class EchoFilter implements NetworkFilter {
  private readonly filtered: NetworkFilterConnection;
  private waiting = false;

  constructor(filtered: NetworkFilterConnection) {
    this.filtered = filtered;
  }

  onData(data: Buffer): undefined {
    const { connection } = this.filtered;
    if (connection.writeBody(data, false) || this.waiting) return undefined;
    this.waiting = true;
    connection.pauseReading();
    return undefined;
  }

  onWritable(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.filtered.connection.resumeReading();
  }

  /** The peer's end is echoed too. */
  onEnd(): void {
    this.filtered.connection.end();
  }
}
