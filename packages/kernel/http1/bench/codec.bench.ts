import type { Connection, RequestHeaders, ResponseHeaders } from '@dragoman/core';
import { createClientCodec, createServerCodec } from '../src/index.ts';
import { RequestHead } from '../src/request-head.ts';
import { ResponseHead } from '../src/response-head.ts';
import { clientOptions, serverOptions } from '../src/options.ts';
import { serialiser } from '../src/serialiser.ts';

/*
 * What one message costs, without sockets: `node --conditions dragoman-source bench/codec.bench.ts`.
 * Each figure is the best of nine rounds, after warming up.
 */

const REQUEST = Buffer.from(
  'GET /api/v1/items?limit=10&offset=20 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\nAccept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nReferer: https://shop.example.com/catalogue\r\nX-Request-Id: 6f1c1c5e-7f0e-4d5f-9a53-0a6f1b0c9f10\r\nX-Forwarded-For: 203.0.113.7\r\nSec-Fetch-Mode: cors\r\n\r\n',
  'latin1',
);
const SMALL_REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1:10000\r\n\r\n', 'latin1');
const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: upstream/1.0\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 13\r\nCache-Control: private, max-age=0\r\nEtag: "5f3a-1b2c3d4e"\r\nVary: Accept-Encoding\r\nX-Request-Id: 6f1c1c5e-7f0e-4d5f-9a53-0a6f1b0c9f10\r\nStrict-Transport-Security: max-age=31536000\r\nX-Content-Type-Options: nosniff\r\nLast-Modified: Mon, 31 Dec 2029 00:00:00 GMT\r\nConnection: keep-alive\r\n\r\n{"ok":true}\r\n',
  'latin1',
);

const ROUNDS = 9;

function measure(name: string, run: () => void, count = 200_000): void {
  for (let i = 0; i < count; i++) run();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  console.log(`${name.padEnd(64)} ${best.toFixed(0).padStart(6)} ns`);
}

/** Takes what is written as a socket would: the text of an event becomes bytes once. */
const out = Buffer.alloc(64 * 1024);
let text = '';
const connection = {
  open: true,
  aboveHighWatermark: false,
  writeText(more: string) {
    text += more;
  },
  writeBody(data: Buffer) {
    text += data.toString('latin1');
    return true;
  },
  pauseReading() {},
  resumeReading() {},
  setBulk() {},
  hold: () => false,
} as unknown as Connection;
function send(): void {
  out.write(text, 0, 'latin1');
  text = '';
}

const requestHead = new RequestHead();
const responseHead = new ResponseHead();
const serverDefaults = serverOptions({});
const clientDefaults = clientOptions({});

measure('parse a request head, 12 headers, 556 bytes', () => {
  requestHead.read(REQUEST, 0, REQUEST.length, serverDefaults);
});
measure('parse a request head, 1 header, 41 bytes', () => {
  requestHead.read(SMALL_REQUEST, 0, SMALL_REQUEST.length, serverDefaults);
});
measure('parse a response head, 12 headers', () => {
  responseHead.read(RESPONSE, 0, RESPONSE.length, clientDefaults);
});

requestHead.read(REQUEST, 0, REQUEST.length, serverDefaults);
const requestHeaders: RequestHeaders = requestHead.headers;
responseHead.read(RESPONSE, 0, RESPONSE.length, clientDefaults);
const responseHeaders: ResponseHeaders = responseHead.headers;

measure('check and write the lines of a request (no bytes made)', () => {
  serialiser.lines(requestHeaders, false);
});

const served = createServerCodec(
  connection,
  {
    onStream: (encoder) => ({
      onHeaders() {
        encoder.headers(responseHeaders, false);
        encoder.body(BODY, true, false);
      },
      onBody: () => true,
      onTrailers() {},
      onReset() {},
      onWritable() {},
    }),
    onCodecError() {
      throw new Error('codec error');
    },
    onConnectionDone() {
      throw new Error('done');
    },
    onStreamComplete() {},
  },
  {},
);
const BODY = Buffer.from('{"ok":true}\r\n');

measure('server side: request in, response out (12 headers each), as bytes', () => {
  served.dispatch(REQUEST);
  send();
});
measure('server side: small request in, response out', () => {
  served.dispatch(SMALL_REQUEST);
  send();
});

const client = createClientCodec(connection, { onStreamComplete() {}, onProtocolError() {} }, {});
const decoder = {
  onInformational() {},
  onHeaders() {},
  onBody: () => true,
  onTrailers() {},
  onReset() {},
  onWritable() {},
};
measure('client side: request out, response in (12 headers each), as bytes', () => {
  client.newStream(decoder).headers(requestHeaders, true);
  send();
  client.dispatch(RESPONSE);
});

const CHUNKS = Buffer.from(
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`400\r\n${'x'.repeat(1024)}\r\n`.repeat(32)}0\r\n\r\n`,
);
measure(
  'client side: 32 chunks of 1 KiB in one read',
  () => {
    client.newStream(decoder).headers(requestHeaders, true);
    text = '';
    client.dispatch(CHUNKS);
  },
  20_000,
);
