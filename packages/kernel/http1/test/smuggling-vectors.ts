/** One request that must never be forwarded. Written for this package; the section is RFC 9112's unless it says otherwise. */
export interface Vector {
  readonly name: string;
  readonly section: string;
  readonly bytes: string;
  readonly status: number;
  readonly details: string;
}

const HOST = 'Host: a.example\r\n';
const line = (start: string, rest = ''): string => `${start}\r\n${HOST}${rest}\r\n`;
const get = (fields: string): string => `GET / HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (fields: string, body = ''): string => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
const host = (value: string): string => `GET / HTTP/1.1\r\n${value}\r\n`;

const v = (
  section: string,
  name: string,
  bytes: string,
  status = 400,
  details = 'http1.codec_error',
): Vector => ({
  name,
  section,
  bytes,
  status,
  details,
});

const TE = 'http1.invalid_transfer_encoding';
const CHARS = 'http1.invalid_characters';
const AUTHORITY = 'http.invalid_authority';
const URL = 'http1.invalid_url';

export const HEAD_VECTORS: readonly Vector[] = [
  // Two lengths.
  v(
    '6.1',
    'CL and TE',
    post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    400,
    'http1.content_length_and_chunked_not_allowed',
  ),
  v(
    '6.1',
    'TE and CL',
    post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'),
    400,
    'http1.content_length_and_chunked_not_allowed',
  ),
  v(
    '6.1',
    'TE and CL 0',
    post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n', '0\r\n\r\n'),
    400,
    'http1.content_length_and_chunked_not_allowed',
  ),
  v('6.3', 'two differing CL', post('Content-Length: 5\r\nContent-Length: 6\r\n')),
  v('6.3', 'two equal CL', post('Content-Length: 5\r\nContent-Length: 5\r\n')),
  v('6.3', 'a list of equal CL', post('Content-Length: 5, 5\r\n')),
  // Malformed lengths.
  ...[
    '+5',
    '-5',
    '5.0',
    '0x5',
    '5 5',
    '5,',
    ',5',
    '',
    '5a',
    '\xb2',
    '99999999999999999999',
    '1e3',
    '5;',
    '"5"',
    '5\t5',
  ].map((value) => v('6.2', `CL ${JSON.stringify(value)}`, post(`Content-Length: ${value}\r\n`))),
  v('5', 'CL with NUL', post('Content-Length: 5\0\r\n'), 400, CHARS),
  // Transfer codings.
  ...[
    'gzip',
    'identity',
    '',
    ',',
    'chunked,',
    ',chunked',
    'chunked, gzip',
    'chunked, chunked',
    'xchunked',
    'chunkedx',
    'chunked;q=1',
    '"chunked"',
    'chunked chunked',
    '\x0bchunked'.slice(1) + ' foo',
    '\xa0chunked',
    'chunked\xa0',
    'chunked\x85',
  ].map((value) => v('6.3', `TE ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}\r\n`), 400, TE)),
  v('6.1', 'TE gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n'), 501, TE),
  v('6.1', 'TE on two lines', post('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n'), 501, TE),
  v('6.3', 'TE twice chunked', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 400, TE),
  v('6.3', 'TE empty, then chunked', post('Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n'), 400, TE),
  v(
    '6.3',
    'TE chunked, then identity',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n'),
    400,
    TE,
  ),
  v('6.1', 'TE in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`, 400, TE),
  v('6.3', 'TE with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n'), 400, CHARS),
  v('9110 5.1', 'transfer_encoding', post('transfer_encoding: chunked\r\n')),
  v('9110 5.1', 'Content--Length', post('Content--Length: 5\r\n')),
  // Field lines.
  v('5.1', 'blank before the colon', get('X : y\r\n')),
  v('5.1', 'tab before the colon', post('Transfer-Encoding\t: chunked\r\n')),
  v('5.2', 'folded line', get('X: a\r\n b\r\n')),
  v('5.2', 'folded line with a tab', post('Transfer-Encoding:\r\n\tchunked\r\n')),
  v('2.2', 'blank before the first header', `GET / HTTP/1.1\r\n ${HOST}\r\n`),
  v('5', 'line without a colon', get('nonsense\r\n')),
  v('5', 'empty name', get(': value\r\n')),
  v('2.2', 'bare LF behind a header', `GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n`),
  v('2.2', 'bare LF ends the head', `GET / HTTP/1.1\r\n${HOST}\n`),
  v('2.2', 'bare LF behind the request line', `GET / HTTP/1.1\n${HOST}\r\n`),
  v('2.2', 'bare CR in a value', get('X: a\rb\r\n')),
  v('2.2', 'bare CR hides a header', get('X: a\rContent-Length: 5\r\n')),
  v('2.2', 'bare CR in a name', get('X\rY: a\r\n'), 400),
  v('2.2', 'bare CR as a line', get('\rX: a\r\n')),
  v('2.2', 'CR CR LF', get('X: a\r\r\n')),
  ...['\0', '\x01', '\x08', '\x0b', '\x1f', '\x7f'].map((c) =>
    v('9110 5.5', `${JSON.stringify(c)} in a value`, get(`X: a${c}b\r\n`), 400, CHARS),
  ),
  ...['\0', '\x01', '\x7f', '\x80', '\xff', '(', '@', '/', '[', '{', '"', '=', '?', ';', ','].map((c) =>
    v('9110 5.1', `${JSON.stringify(c)} in a name`, get(`X${c}Y: a\r\n`), 400, CHARS),
  ),
  // Request line.
  v('3', 'two spaces behind the method', line('GET  / HTTP/1.1'), 400, URL),
  v('3', 'space at the start', line(' GET / HTTP/1.1')),
  v('3', 'tab for a space', line('GET\t/ HTTP/1.1')),
  v('3', 'two spaces before the version', line('GET /  HTTP/1.1')),
  v('3', 'space behind the version', line('GET / HTTP/1.1 ')),
  v('3', 'space in the target', line('GET /a b HTTP/1.1')),
  v('3', 'no version', `GET /\r\n${HOST}\r\n`, 400, URL),
  ...[
    'HTTP/1.2',
    'HTTP/0.9',
    'HTTP/2.0',
    'HTTP/3.0',
    'http/1.1',
    'HTTP/1,1',
    'HTTP/1.1x',
    'HTTP/11',
    'HTTP/01.1',
    'ICY/1.1 ',
  ].map((version) => v('2.3', `version ${version}`, line(`GET / ${version}`))),
  ...['G@T', 'GET(', '"GET"', 'G\x80T'].map((method) =>
    v('3.1', `method ${JSON.stringify(method)}`, line(`${method} / HTTP/1.1`)),
  ),
  v('3.1', 'unknown method', line('GETS / HTTP/1.1')),
  v('3.1', 'method in lower case', line('get / HTTP/1.1')),
  v('3.1', 'NUL in the method', line('G\0T / HTTP/1.1')),
  ...['\0', '\x01', '\x7f', '\t'].map((c) =>
    v('3.2', `${JSON.stringify(c)} in the target`, line(`GET /a${c}b HTTP/1.1`), 400, URL),
  ),
  v('3.2', 'CR in the target', line('GET /a\rb HTTP/1.1'), 400, URL),
  v('3.2', 'LF in the target', line('GET /a\nb HTTP/1.1'), 400, URL),
  // Target forms.
  v('3.2.4', 'GET *', line('GET * HTTP/1.1'), 400, URL),
  v('3.2.4', 'OPTIONS **', line('OPTIONS ** HTTP/1.1'), 400, URL),
  v('3.2.3', 'authority form without CONNECT', line('GET a.example:80 HTTP/1.1'), 400, URL),
  v('3.2.1', 'relative path', line('GET index.html HTTP/1.1'), 400, URL),
  v('3.2.3', 'CONNECT with a path', line('CONNECT / HTTP/1.1'), 400, URL),
  v('3.2.3', 'CONNECT without a port', line('CONNECT a.example HTTP/1.1'), 400, URL),
  v('3.2.3', 'CONNECT with an URL', line('CONNECT http://a.example:80/ HTTP/1.1'), 400, URL),
  v(
    '9110 9.3.6',
    'CONNECT with a body',
    line('CONNECT a.example:80 HTTP/1.1', 'Content-Length: 5\r\n'),
    400,
    'http1.body_disallowed',
  ),
  v(
    '9110 7.8',
    'upgrade with a body',
    post('Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n', 'GET /'),
    400,
    'http1.body_disallowed',
  ),
  v('3.2.2', 'ftp URL', line('GET ftp://a.example/ HTTP/1.1'), 400, URL),
  v('3.2.2', 'URL with user information', line('GET http://u@a.example/ HTTP/1.1'), 400, URL),
  v('3.2.2', 'URL without a host', line('GET http:///x HTTP/1.1'), 400, URL),
  v(
    '3.2.2',
    'URL with a backslash in the host',
    line('GET http://a.example\\@b.example/ HTTP/1.1'),
    400,
    URL,
  ),
  // Host.
  v('3.2', 'no Host', host('X: y\r\n'), 400, 'missing_host_header'),
  v('3.2', 'no Host beside an URL', `GET http://a.example/ HTTP/1.1\r\n\r\n`, 400, 'missing_host_header'),
  v('3.2', 'two Hosts', host('Host: a\r\nHost: b\r\n'), 400, AUTHORITY),
  v('3.2', 'two equal Hosts', host('Host: a\r\nhost: a\r\n'), 400, AUTHORITY),
  ...[
    '',
    'u@a',
    'a/b',
    'a, b',
    'a,b',
    'a b',
    'a:80:80',
    'a:',
    ':80',
    'a:b',
    'a:99999',
    'a?b',
    'a#b',
    'a\\b',
    '[::1',
    '::1',
    '[]',
    '[::1]x',
    '[::1]:',
    '[g::1]',
    'a\xe9',
    '<a>',
    'a"b',
  ].map((value) => v('3.2', `Host ${JSON.stringify(value)}`, host(`Host: ${value}\r\n`), 400, AUTHORITY)),
  // Before the request.
  v('2.2', 'three empty lines before', `\r\n\r\n\r\n${get('')}`),
  v('2.2', 'LF before', `\n${get('')}`),
  v('2.2', 'CR before', `\r${get('')}`),
  // Other protocols.
  v('2.3', 'HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  v('3', 'TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
];

/** Bodies whose chunked framing is broken: the head is forwarded, the stream ends in an error. */
export const CHUNK_VECTORS: readonly Vector[] = [
  ...[
    '',
    ' ',
    ';x',
    'g',
    '-1',
    '+1',
    '0x5',
    '5 ',
    ' 5',
    '5 5',
    '5\t',
    '5,',
    '5:',
    'ffffffffffffff',
    '10000000000000000',
    '00000000000005',
    '5\0',
    '\xb2',
  ].map((size) => v('7.1', `size ${JSON.stringify(size)}`, chunked(`${size}\r\nhello\r\n0\r\n\r\n`))),
  v('7.1', 'size ends with LF', chunked('5\nhello\r\n0\r\n\r\n')),
  v('7.1', 'size ends with CR', chunked('5\rhello\r\n0\r\n\r\n')),
  v('7.1', 'last size ends with LF', chunked('0\n\n')),
  v('7.1', 'data longer than its size', chunked('5\r\nhello!\r\n0\r\n\r\n')),
  v('7.1', 'LF behind the data', chunked('5\r\nhello\n0\r\n\r\n')),
  v('7.1', 'CR behind the data', chunked('5\r\nhello\r0\r\n\r\n')),
  v('7.1', 'nothing behind the data', chunked('5\r\nhello0\r\n\r\n')),
  ...[
    '5;',
    '5;;a',
    '5;,',
    '5;=b',
    '5;a=',
    '5;a b',
    '5;a="b',
    '5;a="b"c',
    '5;a=b c',
    '5;a=b ',
    '5;a ',
    '5;a@',
  ].map((size) => v('7.1.1', `extension ${JSON.stringify(size)}`, chunked(`${size}\r\nhello\r\n0\r\n\r\n`))),
  v('7.1.1', 'LF in an extension', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')),
  v('7.1.1', 'CR in an extension', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n')),
  v('7.1.1', 'NUL in an extension', chunked('5;a\0b\r\nhello\r\n0\r\n\r\n')),
  v('7.1.1', 'oversized extensions', chunked(`5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`)),
  v('7.1.1', 'many extensions', chunked(`${`1;${'a'.repeat(100)}\r\nx\r\n`.repeat(200)}0\r\n\r\n`)),
  v('7.1.2', 'trailer without a colon', chunked('0\r\nnonsense\r\n\r\n')),
  v('7.1.2', 'folded trailer', chunked('0\r\nX: a\r\n b\r\n\r\n')),
  v('7.1.2', 'blank before the colon of a trailer', chunked('0\r\nX : a\r\n\r\n')),
  v('7.1.2', 'NUL in a trailer', chunked('0\r\nX: \0\r\n\r\n'), 400, CHARS),
  v('7.1.2', 'LF in a trailer', chunked('0\r\nX: a\n\r\n')),
  v('7.1.2', 'request in the trailers', chunked('0\r\nGET /evil HTTP/1.1\r\n\r\n'), 400),
  v(
    '7.1.2',
    'too many trailers',
    chunked(`0\r\n${'X: a\r\n'.repeat(101)}\r\n`),
    431,
    'http1.too_many_trailers',
  ),
  v(
    '7.1.2',
    'trailers too large',
    chunked(`0\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`),
    431,
    'http1.trailers_too_large',
  ),
];

/** Responses that must not be passed on. */
export interface ResponseVector {
  readonly name: string;
  readonly section: string;
  readonly bytes: string;
  readonly details: string;
  readonly method?: string;
}

const r = (
  section: string,
  name: string,
  bytes: string,
  details = 'http1.codec_error',
  method = 'GET',
): ResponseVector => ({
  name,
  section,
  bytes,
  details,
  method,
});
const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

export const RESPONSE_VECTORS: readonly ResponseVector[] = [
  r(
    '6.1',
    'CL and TE',
    ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'),
    'http1.content_length_and_chunked_not_allowed',
  ),
  r('6.3', 'two CL', ok('Content-Length: 5\r\nContent-Length: 6\r\n')),
  r('6.3', 'two equal CL', ok('Content-Length: 5\r\nContent-Length: 5\r\n')),
  r('6.2', 'malformed CL', ok('Content-Length: +5\r\n')),
  r('6.3', 'TE gzip', ok('Transfer-Encoding: gzip\r\n'), TE),
  r('6.3', 'TE identity', ok('Transfer-Encoding: identity\r\n'), TE),
  r('6.3', 'TE empty', ok('Transfer-Encoding:\r\n'), TE),
  r('6.1', 'TE gzip, chunked', ok('Transfer-Encoding: gzip, chunked\r\n'), TE),
  r('6.1', 'TE in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', TE),
  r(
    '6.1',
    'TE on 204',
    'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n',
    'http1.transfer_encoding_not_allowed',
  ),
  r(
    '6.1',
    'TE on 100',
    'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n',
    'http1.transfer_encoding_not_allowed',
  ),
  r(
    '9110 8.6',
    'CL on 204',
    'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
    'http1.content_length_not_allowed',
  ),
  r(
    '9110 8.6',
    'CL on 103',
    'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n',
    'http1.content_length_not_allowed',
  ),
  r('2.2', 'bare CR behind the status line', 'HTTP/1.1 200 OK\rX: y\r\n\r\n'),
  r('2.2', 'bare CR behind the status', 'HTTP/1.1 200\rX: y\r\n\r\n'),
  r('2.2', 'bare LF behind the status line', 'HTTP/1.1 200 OK\nX: y\r\n\r\n'),
  r('2.2', 'bare LF behind a header', 'HTTP/1.1 200 OK\r\nX: y\nY: z\r\n\r\n'),
  r('2.2', 'bare CR in a value', ok('X: a\rb\r\n')),
  r('5.1', 'blank before the colon', ok('X : y\r\n')),
  r('5.2', 'folded line', ok('X: a\r\n b\r\n')),
  r('5', 'empty name', ok(': y\r\n')),
  r('9110 5.5', 'NUL in a value', ok('X: \0\r\n'), CHARS),
  r('4', 'NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'),
  ...[
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1\t200 OK',
    ' HTTP/1.1 200 OK',
    '\r\nHTTP/1.1 200 OK',
  ].map((text) => r('4', JSON.stringify(text), `${text}\r\nContent-Length: 0\r\n\r\n`)),
  r('4', 'garbage', 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n'),
  r('4', 'binary garbage', '\x15\x03\x01\x00\x02\x02\x46\x00\x00\x00\x00\x00\x00\x00'),
  r(
    '9110 15.2.2',
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ),
  r('7.1', 'chunk size', ok('Transfer-Encoding: chunked\r\n', '5 \r\nhello\r\n')),
  r('7.1', 'chunk too long', ok('Transfer-Encoding: chunked\r\n', '5\r\nhello!!\r\n')),
  r('15.2', 'too many 1xx', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17)),
  r('5', 'too many headers', ok('X: a\r\n'.repeat(101)), 'http1.too_many_headers'),
  r('5', 'headers too large', ok(`X: ${'a'.repeat(70_000)}\r\n`), 'http1.headers_too_large'),
];
