import type { Connection } from '@dragoman/core';
import { type ByteExchange, type ByteVerdict, HEALTHY, PayloadScan } from '@dragoman/health-checking';
import type { TcpCheckOptions } from './config.ts';

const CONNECTED: ByteVerdict = { result: HEALTHY, keep: false };
const MATCHED: ByteVerdict = { result: HEALTHY, keep: true };

/** Sends, and waits until what is expected has come: what has not may still do so, until the time is over. */
export class TcpCheckExchange implements ByteExchange {
  private readonly options: TcpCheckOptions;
  private readonly scan: PayloadScan;

  constructor(options: TcpCheckOptions) {
    this.options = options;
    this.scan = new PayloadScan(options.receive);
  }

  begin(connection: Connection, fresh: boolean): ByteVerdict | undefined {
    const { send, receive, preamble } = this.options;
    // Nothing would tell whether bytes arrive, so that none are sent, as in Envoy.
    if (receive.length === 0) return CONNECTED;
    this.scan.reset();
    if (fresh && preamble !== undefined) connection.writeBody(preamble(connection), true);
    if (send !== undefined) connection.writeBody(send, true);
    return undefined;
  }

  onData(data: Buffer): ByteVerdict | undefined {
    return this.scan.push(data) ? MATCHED : undefined;
  }
}
