import type { RequestHeaders, ResponseHeaders, Trailers } from './header-map.ts';
import type { ResettableStream } from './overload.ts';
import type { Protocol } from './stream-info.ts';

/** Why a stream ended before its time. */
export type StreamResetReason =
  | 'local-reset'
  | 'remote-reset'
  | 'connection-failure'
  | 'connection-timeout'
  | 'connection-termination'
  | 'overflow'
  | 'protocol-error'
  | 'overload'
  | 'max-requests';

/*
 * The codec seam. "Decoder" receives what the peer sent, "encoder" sends to the peer. Every body chunk is handed over
 * with `holdable`: false means that it must be copied or written before the call returns; true means that the receiver
 * may keep it, by answering false, until it has said that it can take more (`resumeBody`); the sender stops meanwhile.
 * A receiver that answers true is done with the chunk. The last chunk may be kept without a word: nothing follows that could
 * be stopped, and the receiver often forgets the stream at that point.
 */

/** Receives one request (implemented by the HTTP connection manager). */
export interface RequestDecoder {
  onHeaders(headers: RequestHeaders, endStream: boolean): void;
  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  onTrailers(trailers: Trailers): void;
  /** The stream is gone; nothing more is called. */
  onReset(reason: StreamResetReason, details: string): void;
  /** After {@link ResponseEncoder.body} said false: the downstream side has room again. */
  onWritable(): void;
}

/** What one stream of many has moved, where a connection's totals do not tell. Bytes; of headers, before they were compressed. */
export interface StreamMeter {
  readonly headBytesSent: number;
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
}

/** Sends one response. */
export interface ResponseEncoder {
  /** Undefined where the connection carries one stream at a time, whose figures are the connection's. */
  readonly meter?: StreamMeter | undefined;
  /** Bytes of the request's head on the wire. */
  readonly requestHeadBytes: number;
  /** Bytes of both bodies that wait in the codec and below: read and not taken, or taken and not sent. Default 0. */
  readonly heldBytes?: number;
  /** 100, 102, 103 …; any number before the final headers. */
  informational(headers: ResponseHeaders): void;
  headers(headers: ResponseHeaders, endStream: boolean): void;
  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  trailers(trailers: Trailers): void;
  /** Ends the stream without finishing the response. On HTTP/1 this closes the connection. */
  reset(reason: StreamResetReason): void;
  /** Stops and resumes the request's body. Calls do not nest. */
  pauseBody(): void;
  resumeBody(): void;
  /** The response will be the connection's last (`connection: close`). */
  closeAfterResponse(): void;
  /** From now on `decoder` gets what the stream's first one got. */
  setDecoder(decoder: RequestDecoder): void;
}

/** A request that cannot be read: what to answer and what to log. */
export interface CodecError {
  /** Status to answer with (400, 431, 408, 426, 501, 505). */
  readonly status: number;
  /** Envoy's detail, e.g. `http1.codec_error`, `http1.invalid_characters`. */
  readonly details: string;
  /** One line for a person. */
  readonly message: string;
}

/** The owner of a server codec. */
export interface ServerCodecHandler {
  /** A request begins: the returned decoder gets it. */
  onStream(encoder: ResponseEncoder, protocol: Protocol): RequestDecoder;
  /**
   * The bytes are not HTTP. When a stream is open that has no response yet, it is that stream's (its decoder gets no
   * more calls); else the owner answers on `encoder`. The codec reads nothing more; the owner closes the connection after the answer.
   */
  onCodecError(error: CodecError, encoder: ResponseEncoder, decoder: RequestDecoder | undefined): void;
  /** The last exchange is complete and the connection can not or must not be used again: close it. */
  onConnectionDone(): void;
  /** An exchange is complete; another may begin on this connection. With several at a time: the last one is. */
  onStreamComplete(): void;
  /** The connection as a whole broke the protocol (HTTP/2). Its streams are reset after this, and the codec ends it. */
  onConnectionError?(error: CodecError): void;
  /** What was called failed with an error of its own; the codec closes the connection. */
  onBug?(error: unknown): void;
}

/** The server side of a protocol on one connection. */
export interface ServerCodec {
  readonly protocol: Protocol;
  /** It carries several streams at a time. Default false. */
  readonly concurrent?: boolean;
  /** Part of a request's head has come, and not yet all of it (for `request_headers_timeout`). Never on HTTP/2. */
  readonly headPending: boolean;
  /** Gives up a head that is {@link headPending}: `onCodecError` is called with `error`, and nothing more is read. */
  refuseHead(error: CodecError): void;
  /**
   * Reads nothing more. A request that has no response yet, or none at all, is `onCodecError`'s with `error`; the response of another is cut,
   * and its stream reset for overload. Absent on HTTP/2.
   */
  abort?(error: CodecError): void;
  /** The response is complete and the rest of its request is being read and thrown away. */
  readonly draining: boolean;
  /**
   * Set when the connection is done: the peer had announced its last request (`connection: close`, HTTP/1.0), and all of it has been
   * read. Then nothing is on its way which could reset the connection before the peer has read the answer.
   */
  readonly peerDone: boolean;
  /** Bytes from the peer (borrowed). */
  dispatch(data: Buffer): void;
  onPeerEnd(): void;
  onWritable(): void;
  onConnectionClosed(reason: string): void;
  /** Streams that are open. */
  readonly activeStreams: number;
  /** What is over for the owner, and still on its way to the peer. Only where several streams share a connection. */
  forEachUnsent?(visit: (stream: ResettableStream) => void): void;
  /** From now on every response says that the connection ends; an idle one may be closed by its owner. */
  startDrain(): void;
}

/** Receives one response (implemented by the router, through the pool). */
export interface ResponseDecoder {
  onInformational(headers: ResponseHeaders): void;
  onHeaders(headers: ResponseHeaders, endStream: boolean): void;
  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  onTrailers(trailers: Trailers): void;
  /** The stream is gone before its end; nothing more is called. */
  onReset(reason: StreamResetReason, details: string): void;
  /** After {@link RequestEncoder.body} said false: the upstream side has room again. */
  onWritable(): void;
}

/** Sends one request. */
export interface RequestEncoder {
  /** Bytes of the response's head (the final one) on the wire; 0 before it has come. */
  readonly responseHeadBytes: number;
  /** As {@link ResponseEncoder.heldBytes}. */
  readonly heldBytes?: number;
  headers(headers: RequestHeaders, endStream: boolean): void;
  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  trailers(trailers: Trailers): void;
  /** Gives the stream up. On HTTP/1 this closes the connection unless the exchange is complete. */
  reset(reason: StreamResetReason): void;
  /** Stops and resumes the response's body. Calls do not nest. */
  pauseBody(): void;
  resumeBody(): void;
}

/** The owner of a client codec (the connection pool). */
export interface ClientCodecHandler {
  /** The exchange is complete in both directions. `reusable` says whether the connection may carry another. */
  onStreamComplete(reusable: boolean): void;
  /** The peer broke the protocol, or sent bytes that nobody asked for: close the connection. */
  onProtocolError(details: string): void;
}

/** The client side of a protocol on one connection. */
export interface ClientCodec {
  readonly protocol: Protocol;
  newStream(decoder: ResponseDecoder): RequestEncoder;
  dispatch(data: Buffer): void;
  onPeerEnd(): void;
  onWritable(): void;
  onConnectionClosed(kind: 'remote' | 'local', reason: string): void;
  readonly activeStreams: number;
}
