import type { HttpStream, RequestHeaders } from '@dragoman/core';
import type { Call } from './call.ts';
import type { Transcoder } from './config.ts';
import { setOrRemove } from './headers.ts';
import type { Refusal } from './refusal.ts';

/** In front of the braces of response code details, as in Envoy. */
export const FAILED_EARLY = 'early_grpc_json_transcode_failure';
export const FAILED = 'grpc_json_transcode_failure';

/** A request that is transcoded, and its response. */
export class Exchange {
  readonly stream: HttpStream;
  readonly transcoder: Transcoder;
  readonly call: Call;
  /** A reply of this filter's own has taken the place of the response: hooks do nothing more. */
  over = false;
  private readonly headers: RequestHeaders;
  private readonly isHead: boolean;
  private readonly contentType: string | undefined;

  /** @param headers not yet changed */
  constructor(stream: HttpStream, transcoder: Transcoder, call: Call, headers: RequestHeaders) {
    this.stream = stream;
    this.transcoder = transcoder;
    this.call = call;
    this.headers = headers;
    this.isHead = headers.method === 'HEAD';
    this.contentType = headers.get('content-type');
  }

  reject(word: string, refusal: Refusal): void {
    this.over = true;
    // The client did not call gRPC: a reply by its rules is not for it.
    if (this.isHead) this.headers.method = 'HEAD';
    setOrRemove(this.headers, 'content-type', this.contentType);
    replyTo(this.stream, word, refusal);
  }
}

export function replyTo(stream: HttpStream, word: string, { status, code, message }: Refusal): void {
  stream.reply({ status, body: message, details: `${word}{${code}}` });
}
