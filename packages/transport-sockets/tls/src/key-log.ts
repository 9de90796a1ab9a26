import { closeSync, createWriteStream, openSync, type WriteStream } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { type TlsKeyLog, TlsKeyLogSchema } from '@dragoman/api';
import { compileRanges, type IpRanges } from '@dragoman/client-address';
import { ConfigError, type ConnectionInfo, type Logger, refuseUnsupported } from '@dragoman/core';

const SUPPORTED = new Set(['path', 'local_address_range', 'remote_address_range']);

/**
 * `key_log`: the secrets of connections, in the format of NSS, for those who debug. Whoever can read the file can read the connections: it is
 * made for its owner alone.
 */
export class KeyLog {
  private readonly path: string;
  private readonly local: IpRanges;
  private readonly remote: IpRanges;
  private readonly logger: Logger;
  private stream: WriteStream | undefined = undefined;

  /** @throws ConfigError with paths below the TlsKeyLog, also when the file cannot be written to */
  constructor(config: TlsKeyLog, logger: Logger) {
    refuseUnsupported(config, TlsKeyLogSchema, SUPPORTED);
    this.path = config.path;
    this.local = compileRanges(config.localAddressRange, 'local_address_range');
    this.remote = compileRanges(config.remoteAddressRange, 'remote_address_range');
    this.logger = logger;
    try {
      closeSync(openSync(this.path, 'a', OWNER_ONLY));
    } catch (error) {
      throw ConfigError.at('path', `"${this.path}" cannot be written to: ${(error as Error).message}`);
    }
  }

  /** Before the handshake of `socket` begins. */
  attach(socket: TLSSocket, info: ConnectionInfo): void {
    const { local, remote } = this;
    if (!local.empty && !local.has(info.localAddress)) return;
    if (!remote.empty && !remote.has(info.remoteAddress)) return;
    socket.on('keylog', (line: Buffer) => this.write(line));
  }

  close(): void {
    this.stream?.end();
    this.stream = undefined;
  }

  /** Workers append to one file: each line is one write. */
  private write(line: Buffer): void {
    this.stream ??= this.open();
    this.stream.write(line);
  }

  private open(): WriteStream {
    const stream = createWriteStream(this.path, { flags: 'a', mode: OWNER_ONLY });
    stream.on('error', (error) => {
      this.logger.warn(`TLS key log ${this.path}: ${error.message}`);
      if (this.stream === stream) this.stream = undefined;
    });
    return stream;
  }
}

const OWNER_ONLY = 0o600;
