/** An HTTP/1.x response as it came over the wire. */
export interface RawResponse {
  /** `HTTP/1.1 200 OK`. */
  readonly statusLine: string;
  readonly status: number;
  /** In the order and case received. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The first value of a header, by its name in any case. */
  header(name: string): string | undefined;
  /** Without chunk framing. */
  readonly body: Buffer;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly chunked: boolean;
  /** Bytes on the wire. */
  readonly length: number;
}

/**
 * A small reader for tests. It believes what it reads: judging a response is the business of the test.
 *
 * @param bytes what has arrived
 * @param ended nothing more will come
 * @param forHead the request was HEAD
 * @returns undefined while the response is not complete
 * @throws Error when it is no HTTP/1.x response
 */
export function parseResponse(bytes: Buffer, ended: boolean, forHead = false): RawResponse | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) {
    if (bytes.length >= 5 && bytes.toString('latin1', 0, 5) !== 'HTTP/') throw notHttp(bytes);
    return undefined;
  }
  const [statusLine, ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine);
  if (match === null) throw notHttp(bytes);
  const status = Number(match[1]);
  const headers = lines.map(parseField);
  const header = (name: string) => headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const start = headEnd + 4;
  const chunked = /(^|,)\s*chunked\s*$/i.test(header('transfer-encoding') ?? '');
  const base = { statusLine, status, headers, header, chunked };
  if (forHead || status < 200 || status === 204 || status === 304) {
    return { ...base, body: Buffer.alloc(0), trailers: [], length: start };
  }
  if (chunked) {
    const rest = parseChunks(bytes, start);
    return rest === undefined ? undefined : { ...base, ...rest };
  }
  const declared = header('content-length');
  if (declared !== undefined) {
    const end = start + Number(declared);
    if (bytes.length < end) return undefined;
    return { ...base, body: bytes.subarray(start, end), trailers: [], length: end };
  }
  if (!ended) return undefined;
  return { ...base, body: bytes.subarray(start), trailers: [], length: bytes.length };
}

function parseChunks(
  bytes: Buffer,
  start: number,
): Pick<RawResponse, 'body' | 'trailers' | 'length'> | undefined {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size))
      throw new Error(`not a chunk: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return undefined;
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  const trailers: (readonly [string, string])[] = [];
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const line = bytes.toString('latin1', at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { body: Buffer.concat(parts), trailers, length: at };
    trailers.push(parseField(line));
  }
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()];
}

function notHttp(bytes: Buffer): Error {
  return new Error(`not an HTTP/1.x response: ${JSON.stringify(bytes.toString('latin1', 0, 200))}`);
}
