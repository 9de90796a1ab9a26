import { RequestHeaders, type ResponseHeaders } from '@dragoman/core';
import { FakeRequest } from './fake-upstream.ts';

/** Sends a GET as soon as it has a connection, and says when it is over. */
export class Get extends FakeRequest {
  status = 0;
  text = '';
  readonly over: Promise<void>;
  private finish!: () => void;

  constructor() {
    super();
    this.over = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  override onPoolReady(...[encoder, host, connection]: Parameters<FakeRequest['onPoolReady']>): void {
    super.onPoolReady(encoder, host, connection);
    const headers = new RequestHeaders();
    headers.method = 'GET';
    headers.path = '/';
    headers.authority = 'web.example';
    headers.scheme = 'http';
    encoder.headers(headers, true);
  }

  override onHeaders(headers?: ResponseHeaders, endStream?: boolean): void {
    this.status = headers?.status ?? 0;
    if (endStream) this.finish();
  }

  override onBody(chunk: Buffer, endStream?: boolean): boolean {
    this.text += chunk.toString();
    if (endStream) this.finish();
    return true;
  }

  override onReset(reason: string): void {
    super.onReset(reason);
    this.finish();
  }

  override onPoolFailure(...failure: Parameters<FakeRequest['onPoolFailure']>): void {
    super.onPoolFailure(...failure);
    this.finish();
  }
}
