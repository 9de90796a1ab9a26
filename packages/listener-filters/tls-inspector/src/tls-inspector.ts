import { TlsInspectorSchema } from '@dragoman/api';
import { type ClientHello, type HelloFailure, HelloReader, parseClientHello } from '@dragoman/client-hello';
import {
  ConfigError,
  defineListenerFilter,
  type ListenerFilter,
  type ListenerFilterSocket,
} from '@dragoman/core';
import { asciiLower } from '@dragoman/matching';
import { failureReason } from './failure-reason.ts';
import { ja3, ja3Available } from './ja3.ts';
import { ja4 } from './ja4.ts';
import { createStats, type TlsInspectorStats } from './stats.ts';

const NAME = 'envoy.filters.listener.tls_inspector';
/** A TLS record's worth: the default, and the most. */
const MAX_CLIENT_HELLO = 16_384;

interface Settings {
  readonly ja3: boolean;
  readonly ja4: boolean;
  readonly closeOnFailure: boolean;
  /** Bytes. */
  readonly maxBytes: number;
  /** Bytes. */
  readonly firstBytes: number;
  readonly stats: TlsInspectorStats;
}

/** `envoy.filters.listener.tls_inspector`. */
export const tlsInspector = defineListenerFilter({
  name: NAME,
  config: TlsInspectorSchema,
  create(config, { stats }) {
    const maxBytes = config.maxClientHelloSize ?? MAX_CLIENT_HELLO;
    if (maxBytes > MAX_CLIENT_HELLO)
      throw ConfigError.at('max_client_hello_size', `must be at most ${MAX_CLIENT_HELLO}, is ${maxBytes}`);
    const settings: Settings = {
      ja3: config.enableJa3Fingerprinting ?? false,
      ja4: config.enableJa4Fingerprinting ?? false,
      closeOnFailure: config.closeConnectionOnClientHelloParsingErrors,
      maxBytes,
      firstBytes: Math.min(config.initialReadBufferSize ?? maxBytes, maxBytes),
      stats: createStats(stats),
    };
    if (settings.ja3 && !ja3Available())
      throw ConfigError.at('enable_ja3_fingerprinting', 'needs MD5, which this Node refuses (FIPS mode)');
    return () => new TlsInspectorFilter(settings);
  },
});

class TlsInspectorFilter implements ListenerFilter {
  maxReadBytes: number;
  private readonly settings: Settings;
  private readonly reader = new HelloReader();

  constructor(settings: Settings) {
    this.settings = settings;
    this.maxReadBytes = settings.firstBytes;
  }

  onAccept(): 'wait' {
    return 'wait';
  }

  onData(socket: ListenerFilterSocket): 'continue' | 'wait' | 'close' {
    const { peeked } = socket;
    const { maxBytes, stats } = this.settings;
    const progress = this.reader.read(peeked);
    if (progress === 'more') {
      if (peeked.length >= maxBytes) {
        stats.bytesProcessed.record(peeked.length);
        this.tooLarge(socket);
        return 'close';
      }
      if (peeked.length >= this.maxReadBytes) this.maxReadBytes = Math.min(2 * peeked.length, maxBytes);
      return 'wait';
    }
    stats.bytesProcessed.record(this.reader.consumed);
    const hello = progress === 'message' ? parseClientHello(this.reader.message) : progress;
    if (typeof hello === 'string') return this.failed(socket, hello);
    this.found(socket, hello);
    return 'continue';
  }

  private found({ info }: ListenerFilterSocket, hello: ClientHello): void {
    const { stats } = this.settings;
    if (this.settings.ja3) info.ja3Hash = ja3(hello);
    if (this.settings.ja4) info.ja4Hash = ja4(hello);
    if (hello.serverName === '') stats.sniNotFound.inc();
    else {
      stats.sniFound.inc();
      info.requestedServerName = asciiLower(hello.serverName);
    }
    if (hello.applicationProtocols === undefined) stats.alpnNotFound.inc();
    else {
      stats.alpnFound.inc();
      info.applicationProtocols = hello.applicationProtocols;
    }
    stats.tlsFound.inc();
    info.transportProtocol = 'tls';
  }

  /** Plaintext, as a rule; a ClientHello that is none cannot be told from it. */
  private failed(socket: ListenerFilterSocket, failure: HelloFailure): 'continue' | 'close' {
    const { closeOnFailure, maxBytes, stats } = this.settings;
    socket.info.transportFailureReason = failureReason(failure);
    if (closeOnFailure && socket.peeked.length >= maxBytes) {
      this.tooLarge(socket);
      return 'close';
    }
    stats.tlsNotFound.inc();
    tellFailure(socket, 'ClientHelloNotDetected');
    return closeOnFailure ? 'close' : 'continue';
  }

  private tooLarge(socket: ListenerFilterSocket): void {
    this.settings.stats.clientHelloTooLarge.inc();
    tellFailure(socket, 'ClientHelloTooLarge');
  }
}

function tellFailure({ streamInfo }: ListenerFilterSocket, reason: string): void {
  streamInfo.dynamicMetadata.set(NAME, { failure_reason: reason });
}
