import type { ConnectionInfo } from '@dragoman/core';
import type { CodecType } from './config.ts';

/** RFC 9113 section 3.4, as much of the client's preface as Envoy looks at. */
const PREFACE = Buffer.from('PRI * HTTP/2', 'latin1');

/** The protocol of a connection before its first byte: what the config or ALPN says; undefined when the bytes have to tell. */
export function knownProtocol(type: CodecType, info: ConnectionInfo): 'http1' | 'http2' | undefined {
  if (type !== 'auto') return type;
  if (info.negotiatedProtocol === 'h2') return 'http2';
  return info.negotiatedProtocol === '' ? undefined : 'http1';
}

/** The protocol that the first bytes speak; undefined while they may still be either. */
export function protocolOf(bytes: Buffer): 'http1' | 'http2' | undefined {
  const size = Math.min(bytes.length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, size, 0, size) !== 0) return 'http1';
  return size === PREFACE.length ? 'http2' : undefined;
}
