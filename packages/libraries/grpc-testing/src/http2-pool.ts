import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import {
  type HttpPool,
  type HttpPoolCallbacks,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { testHosts } from '@dragoman/testing';

/** A real HTTP/2 connection behind the seam of pools, as small as it can be: for calls to a real peer. Made anew when it has ended. */
export class Http2TestPool implements HttpPool {
  private readonly port: number;
  private session: ClientHttp2Session | undefined = undefined;

  constructor(port: number) {
    this.port = port;
  }

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): undefined {
    const [host] = testHosts(1);
    callbacks.onPoolReady(new Http2TestStream(this.connection(), decoder), host, {
      id: 1,
      protocol: 'HTTP/2',
      localAddress: undefined,
      remoteAddress: host.address,
      tls: undefined,
      connectStart: 0,
      connectComplete: 0,
      handshakeComplete: 0,
      bytesRead: 0,
      bytesWritten: 0,
    });
    return undefined;
  }

  /** Once its streams have ended. */
  close(): Promise<void> {
    const { session } = this;
    return new Promise((resolve) => {
      if (session === undefined || session.closed) resolve();
      else session.close(resolve);
    });
  }

  /** At once. */
  destroy(): void {
    this.session?.destroy();
  }

  private connection(): ClientHttp2Session {
    const { session, port } = this;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const made = connect(`http://127.0.0.1:${port}`);
    // Its streams tell.
    made.on('error', () => {});
    this.session = made;
    return made;
  }
}

class Http2TestStream implements RequestEncoder {
  readonly responseHeadBytes = 0;
  private readonly session: ClientHttp2Session;
  private readonly decoder: ResponseDecoder;
  private stream: ClientHttp2Stream | undefined = undefined;
  private over = false;

  constructor(session: ClientHttp2Session, decoder: ResponseDecoder) {
    this.session = session;
    this.decoder = decoder;
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    const { decoder } = this;
    const fields: Record<string, string[]> = {};
    for (const [name, value] of headers.entries()) {
      fields[name] ??= [];
      fields[name].push(value);
    }
    const flat = Object.entries(fields).map(([name, values]) => [
      name,
      values.length === 1 ? values[0] : values,
    ]);
    const stream = this.session.request(Object.fromEntries(flat), { endStream });
    this.stream = stream;
    stream.on('response', (response, flags) => {
      const end = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const head = new ResponseHeaders();
      copy(response, head);
      this.over = end;
      decoder.onHeaders(head, end);
    });
    stream.on('data', (chunk: Buffer) => {
      if (!this.over) decoder.onBody(chunk, false, false);
    });
    stream.on('trailers', (fieldsOfTrailers) => {
      if (this.over) return;
      this.over = true;
      const trailers = new Trailers();
      copy(fieldsOfTrailers, trailers);
      decoder.onTrailers(trailers);
    });
    stream.on('drain', () => decoder.onWritable());
    stream.on('error', () => {});
    stream.on('close', () => {
      if (this.over) return;
      this.over = true;
      decoder.onReset('remote-reset', '');
    });
  }

  body(chunk: Buffer, endStream: boolean): boolean {
    const { stream } = this;
    if (stream === undefined || stream.destroyed) return true;
    if (endStream) {
      stream.end(chunk);
      return true;
    }
    return stream.write(chunk);
  }

  trailers(): void {}

  reset(): void {
    this.over = true;
    this.stream?.close(constants.NGHTTP2_CANCEL);
  }

  pauseBody(): void {
    this.stream?.pause();
  }

  resumeBody(): void {
    this.stream?.resume();
  }
}

function copy(fields: IncomingHttpHeaders, target: ResponseHeaders | Trailers): void {
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined) for (const one of [value].flat()) target.append(name, String(one));
}
