import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import {
  type HttpPool,
  type HttpPoolCallbacks,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import type { IncomingHttpHeaders } from 'node:http2';
import { testHosts } from '@dragoman/testing';

/** A real HTTP/2 connection behind the seam of pools, as small as it can be: for calls to a real peer. */
export class Http2TestPool implements HttpPool {
  private readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`);
  }

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): undefined {
    const [host] = testHosts(1);
    callbacks.onPoolReady(new Http2TestStream(this.session, decoder), host, {
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

  close(): Promise<void> {
    return new Promise((resolve) => this.session.close(resolve));
  }
}

class Http2TestStream implements RequestEncoder {
  readonly responseHeadBytes = 0;
  private readonly session: ClientHttp2Session;
  private readonly decoder: ResponseDecoder;
  private stream!: ClientHttp2Stream;
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
    this.stream = this.session.request(Object.fromEntries(flat), { endStream });
    this.stream.on('response', (response, flags) => {
      const end = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const head = new ResponseHeaders();
      copy(response, head);
      this.over = end;
      decoder.onHeaders(head, end);
    });
    this.stream.on('data', (chunk: Buffer) => {
      if (!this.over) decoder.onBody(chunk, false, false);
    });
    this.stream.on('trailers', (fieldsOfTrailers) => {
      if (this.over) return;
      this.over = true;
      const trailers = new Trailers();
      copy(fieldsOfTrailers, trailers);
      decoder.onTrailers(trailers);
    });
    this.stream.on('drain', () => decoder.onWritable());
    this.stream.on('error', () => {});
    this.stream.on('close', () => {
      if (this.over) return;
      this.over = true;
      decoder.onReset('remote-reset', '');
    });
  }

  body(chunk: Buffer, endStream: boolean): boolean {
    if (endStream) {
      this.stream.end(chunk);
      return true;
    }
    return this.stream.write(chunk);
  }

  trailers(): void {}

  reset(): void {
    this.over = true;
    this.stream.close(constants.NGHTTP2_CANCEL);
  }

  pauseBody(): void {
    this.stream.pause();
  }

  resumeBody(): void {
    this.stream.resume();
  }
}

function copy(fields: IncomingHttpHeaders, target: ResponseHeaders | Trailers): void {
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined) for (const one of [value].flat()) target.append(name, String(one));
}
