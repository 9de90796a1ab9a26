import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

const REQUESTS = Buffer.from(
  [
    'GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-Long-Name_1: some value\r\nAccept: */*\r\n\r\n',
    '\r\nPOST /b HTTP/1.1\r\nhost: [::1]:80\r\nContent-Length: 12\r\n\r\nhello\r\n\r\nyou',
    'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n00b\r\n big\nworld!\r\n0\r\nX-T: 1\r\nX-U:\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  ].join(''),
  'latin1',
);

const RESPONSES: readonly [string, string][] = [
  ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX:  y \r\n\r\nhello\r\n\r\nyou'],
  [
    'GET',
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1;x\r\n!\r\n0\r\nX-T: 1\r\n\r\n',
  ],
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n'],
];

/** What a receiver made of the requests, apart from how the body was cut. */
async function requests(parts: readonly Buffer[]): Promise<unknown> {
  const rig = serverRig({ enableTrailers: true });
  rig.onRequest = ({ encoder }) => encoder.headers(response(200), true);
  for (const part of parts) {
    rig.feed(part);
    await Promise.resolve();
  }
  expect(rig.connection.readingPaused).toBe(false);
  return {
    seen: rig.exchanges.map(({ headers, body, trailers, ended }) => ({
      headers: headers?.entries(),
      body,
      trailers,
      ended,
    })),
    errors: rig.errors,
    out: rig.connection.out,
    completed: rig.completed,
  };
}

function responses(method: string, parts: readonly Buffer[]): unknown {
  const rig = clientRig({ enableTrailers: true });
  const { answer } = rig.send(request(method, '/', 'a'));
  for (const part of parts) rig.feed(part);
  return {
    informational: answer.informational.map((headers) => headers.entries()),
    headers: answer.headers?.entries(),
    body: answer.body,
    trailers: answer.trailers,
    ended: answer.ended,
    completed: rig.completed,
    errors: rig.errors,
  };
}

describe('every way of cutting', () => {
  it('requests in two gives what they give whole', async () => {
    const whole = await requests([REQUESTS]);
    expect(whole).toMatchObject({ completed: 4, errors: [] });
    for (let i = 1; i < REQUESTS.length; i++) {
      expect(await requests([REQUESTS.subarray(0, i), REQUESTS.subarray(i)]), `cut at ${i}`).toEqual(whole);
    }
  });

  it.each([1, 2, 3, 7])('requests in pieces of %i gives what they give whole', async (size) => {
    const parts: Buffer[] = [];
    for (let i = 0; i < REQUESTS.length; i += size) parts.push(REQUESTS.subarray(i, i + size));
    expect(await requests(parts)).toEqual(await requests([REQUESTS]));
  });

  it.each(RESPONSES)('a response to %s in two, and byte by byte', (method, text) => {
    const bytes = Buffer.from(text, 'latin1');
    const whole = responses(method, [bytes]);
    expect(whole).toMatchObject({ completed: [true], ended: true, errors: [] });
    for (let i = 1; i < bytes.length; i++) {
      expect(responses(method, [bytes.subarray(0, i), bytes.subarray(i)]), `cut at ${i}`).toEqual(whole);
    }
    expect(
      responses(
        method,
        Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
      ),
    ).toEqual(whole);
  });

  it('looks only at its own part of a larger buffer', async () => {
    const shared = Buffer.alloc(REQUESTS.length + 64, '\r');
    REQUESTS.copy(shared, 13);
    expect(await requests([shared.subarray(13, 13 + REQUESTS.length)])).toEqual(await requests([REQUESTS]));
  });
});
