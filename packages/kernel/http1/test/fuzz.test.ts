import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientRig, request, response, serverRig } from './fake-connection.ts';

/** Pieces that bring random bytes into interesting states. */
const piece = fc.oneof(
  fc
    .constantFrom(
      'GET / HTTP/1.1\r\n',
      'POST /x HTTP/1.1\r\n',
      'Host: a\r\n',
      '\r\n',
      '\r',
      '\n',
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Connection: close\r\n',
      'Connection: upgrade\r\nUpgrade: x\r\n',
      'Expect: 100-continue\r\n',
      '3\r\nabc\r\n',
      '0\r\n',
      '0\r\n\r\n',
      'abc',
      ' ',
      ':',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 101 X\r\n',
      'HTTP/1.1 204 No\r\n',
      'CONNECT a:1 HTTP/1.1\r\n',
    )
    .map((text) => Buffer.from(text, 'latin1')),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const pieces = fc.array(piece, { maxLength: 25 });

/** What the owner does, in whatever order. */
const action = fc.constantFrom(
  'respond',
  'body',
  'end',
  'reset',
  'pause',
  'resume',
  'drain',
  'peer-end',
  'closed',
  'none',
  'none',
  'none',
  'switch',
);

describe('random bytes', () => {
  it('never make the server side throw, serve after a refusal, or leave reading stopped for ever', async () => {
    await fc.assert(
      fc.asyncProperty(
        pieces,
        fc.array(action, { maxLength: 25 }),
        fc.boolean(),
        fc.boolean(),
        async (parts, actions, holdable, accept) => {
          const rig = serverRig({ acceptHttp10: true, enableTrailers: true });
          rig.connection.holdable = holdable;
          rig.accept = accept;
          for (let i = 0; i < Math.max(parts.length, actions.length); i++) {
            const part = parts[i];
            if (part !== undefined && rig.connection.open) rig.feed(part);
            const served = rig.exchanges.length;
            const over = rig.done > 0 || rig.connection.closed !== undefined;
            act(rig, actions[i] ?? 'none');
            await Promise.resolve();
            if (over) expect(rig.exchanges.length).toBe(served);
          }
          expect(rig.errors.length).toBeLessThanOrEqual(1);
          expect(rig.done).toBeLessThanOrEqual(1);
          expect(rig.completed).toBeLessThanOrEqual(rig.exchanges.length);
          if (rig.done === 1) expect(rig.connection.readingPaused).toBe(false);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('never make the client side throw or report an exchange twice', () => {
    fc.assert(
      fc.property(pieces, fc.array(action, { maxLength: 25 }), (parts, actions) => {
        const rig = clientRig({ enableTrailers: true });
        const { answer, encoder } = rig.send(request('POST', '/', 'a'), false);
        rig.feed('HTTP/1.1 200 OK\r\n');
        parts.forEach((part, i) => {
          rig.feed(part);
          const what = actions[i] ?? 'none';
          if (what === 'end') encoder.body(Buffer.from('x'), true, false);
          else if (what === 'body') encoder.body(Buffer.from('x'), false, false);
          else if (what === 'reset') encoder.reset('local-reset');
          else if (what === 'pause') encoder.pauseBody();
          else if (what === 'resume') encoder.resumeBody();
          else if (what === 'peer-end') rig.codec.onPeerEnd();
          else if (what === 'closed') rig.codec.onConnectionClosed('remote', '');
        });
        expect(rig.completed.length).toBeLessThanOrEqual(1);
        expect(
          answer.ended &&
            answer.reset !== undefined &&
            rig.errors.length === 0 &&
            answer.reset.startsWith('protocol'),
        ).toBe(false);
        if (rig.errors.length > 0) expect(() => rig.codec.newStream(answer)).toThrow();
      }),
      { numRuns: 1500 },
    );
  });

  it('serialised requests are read back as they were', () => {
    const name = fc.stringMatching(/^x-[a-z0-9_]{1,10}$/);
    const value = fc
      .array(
        fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f),
        { maxLength: 20 },
      )
      .map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 20 }),
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 4 }),
        (lines, chunks) => {
          const client = clientRig();
          const server = serverRig();
          const sent = request('POST', '/p?q', 'a.example', lines);
          const { encoder, answer } = client.send(sent, false);
          for (const chunk of chunks) encoder.body(Buffer.from(chunk), false, false);
          encoder.body(Buffer.alloc(0), true, false);
          server.feed(client.connection.take());
          const [exchange] = server.exchanges;
          expect(exchange?.headers?.entries()).toEqual([...sent.entries(), ['transfer-encoding', 'chunked']]);
          expect(exchange?.body).toBe(Buffer.concat(chunks).toString('latin1'));
          exchange?.encoder.headers(response(200, lines), false);
          for (const chunk of chunks) exchange?.encoder.body(Buffer.from(chunk), false, false);
          exchange?.encoder.body(Buffer.alloc(0), true, false);
          client.feed(server.connection.take());
          expect(answer.headers?.entries()).toEqual([
            [':status', '200'],
            ...lines,
            ['transfer-encoding', 'chunked'],
          ]);
          expect(answer.body).toBe(Buffer.concat(chunks).toString('latin1'));
          expect([client.completed, server.completed]).toEqual([[true], 1]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

function act(rig: ReturnType<typeof serverRig>, what: string): void {
  const encoder = rig.exchanges.at(-1)?.encoder;
  switch (what) {
    case 'respond':
      encoder?.headers(response(200), false);
      break;
    case 'switch':
      encoder?.headers(response(101, [['upgrade', 'x']]), false);
      break;
    case 'body':
      encoder?.body(Buffer.from('x'), false, false);
      break;
    case 'end':
      encoder?.headers(response(200), false);
      encoder?.body(Buffer.alloc(0), true, false);
      break;
    case 'reset':
      encoder?.reset('local-reset');
      break;
    case 'pause':
      encoder?.pauseBody();
      break;
    case 'resume':
      encoder?.resumeBody();
      break;
    case 'drain':
      rig.codec.startDrain();
      break;
    case 'peer-end':
      rig.codec.onPeerEnd();
      break;
    case 'closed':
      rig.connection.open = false;
      rig.codec.onConnectionClosed('');
      break;
  }
}
