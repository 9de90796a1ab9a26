import { ResponseHeaders, wellKnownId } from '@dragoman/core';
import { CR, FIELD_VALUE, LF, SP } from './chars.ts';
import { Http1Details } from './details.ts';
import { INCOMPLETE, INVALID } from './field-scanner.ts';
import { latin1, MessageHead, minorVersion, scanner } from './message-head.ts';
import type { Http1ClientOptions } from './options.ts';

const ID_CONTENT_LENGTH = wellKnownId('content-length');

/** `HTTP/1.1 200` */
const VERSION_AND_STATUS = 12;

/** Reads response heads (RFC 9112 sections 4, 5 and 6). */
export class ResponseHead extends MessageHead {
  headers: ResponseHeaders = new ResponseHeaders();

  /** As {@link RequestHead.read}. */
  read(data: Buffer, start: number, end: number, options: Required<Http1ClientOptions>): number {
    let p = start + VERSION_AND_STATUS;
    if (p >= end) return INCOMPLETE;
    const minor = minorVersion(data, start);
    if (minor < 0 || data[start + 8] !== SP) return this.fail(Http1Details.codecError, 'invalid version');
    const hundreds = (data[start + 9] as number) - 0x30;
    const tens = (data[start + 10] as number) - 0x30;
    const units = (data[start + 11] as number) - 0x30;
    if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || units < 0 || units > 9) {
      return this.fail(Http1Details.codecError, 'invalid status');
    }
    // The blank behind the status is often left out when there is no reason phrase.
    if (data[p] === SP) {
      do p++;
      while (p < end && FIELD_VALUE[data[p] as number] !== 0);
    }
    if (p + 1 >= end) return INCOMPLETE;
    if (data[p] !== CR || data[p + 1] !== LF)
      return this.fail(Http1Details.codecError, 'invalid status line');
    const headEnd = scanner.scan(data, p + 2, end, options.maxHeaderCount);
    if (headEnd < 0) return headEnd === INCOMPLETE ? INCOMPLETE : this.failScan();
    if (headEnd - start > options.maxHeaderBytes) return headEnd;

    this.reset();
    this.http10 = minor === 0;
    const headers = new ResponseHeaders();
    this.headers = headers;
    headers.status = hundreds * 100 + tens * 10 + units;
    const text = latin1(data, start, headEnd);
    if (this.fill(headers, text, start, true, false) < 0) return INVALID;
    if (this.checkFraming(headers, options) < 0) return INVALID;
    const formatter = options.headerFormatter();
    if (formatter !== undefined) {
      formatter.reasonPhrase = text.substring(VERSION_AND_STATUS, p - start).trimStart();
      this.rememberNames(formatter, text, start);
      headers.nameFormatter = formatter;
    }
    return headEnd;
  }

  private checkFraming(headers: ResponseHeaders, options: Required<Http1ClientOptions>): number {
    const bodiless = headers.status < 200 || headers.status === 204;
    if (this.chunked) {
      if (bodiless)
        return this.fail(Http1Details.transferEncodingNotAllowed, 'Transfer-Encoding on 1xx or 204');
      if (this.http10)
        return this.fail(Http1Details.invalidTransferEncoding, 'Transfer-Encoding in HTTP/1.0');
      if (this.contentLength >= 0) {
        if (!options.allowChunkedLength) {
          return this.fail(Http1Details.contentLengthAndChunked, 'Content-Length with Transfer-Encoding');
        }
        headers.removeKnown(ID_CONTENT_LENGTH);
        this.contentLength = -1;
        this.close = true;
      }
    }
    if (bodiless && this.contentLength >= 0) {
      if (this.contentLength > 0)
        return this.fail(Http1Details.contentLengthNotAllowed, 'Content-Length on 1xx or 204');
      headers.removeKnown(ID_CONTENT_LENGTH);
    }
    return 0;
  }
}
