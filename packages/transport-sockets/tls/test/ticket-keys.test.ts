import { EXTENSION, encodeClientHelloBody, parseClientHello, uint16, vector16 } from '@dragoman/client-hello';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeTicketKeys, ticketKeyFor } from '../src/server/ticket-keys.ts';

const NO_SALT = new Uint8Array();
const keys = nodeTicketKeys(
  [1, 2, 3].map((fill) => Buffer.alloc(80, fill)),
  NO_SALT,
);
const ticketOf = (index: number): Buffer =>
  Buffer.concat([(keys[index] as Buffer).subarray(0, 16), Buffer.alloc(100, 7)]);
const stranger = Buffer.alloc(116, 9);

/** `OfferedPsks`: identities with the ages of their tickets, and binders. */
const offer = (...identities: readonly Buffer[]): Buffer =>
  Buffer.concat([
    vector16(Buffer.concat(identities.map((one) => Buffer.concat([vector16(one), Buffer.alloc(4)])))),
    vector16(Buffer.alloc(33)),
  ]);

function helloWith(extensions: readonly (readonly [number, Buffer])[]) {
  const body = encodeClientHelloBody({ extensions });
  const hello = parseClientHello(body);
  if (typeof hello === 'string') throw new Error(hello);
  return hello;
}

describe('the key for a connection', () => {
  it.each<[string, readonly (readonly [number, Buffer])[], number]>([
    ['is the first one without a ticket', [], 0],
    ['is the one of a ticket', [[EXTENSION.sessionTicket, ticketOf(2)]], 2],
    ['is the first one for an empty ticket', [[EXTENSION.sessionTicket, Buffer.alloc(0)]], 0],
    ['is the first one for a ticket of somebody else', [[EXTENSION.sessionTicket, stranger]], 0],
    [
      'is the first one for a name with nothing behind it',
      [[EXTENSION.sessionTicket, ticketOf(1).subarray(0, 16)]],
      0,
    ],
    ['is the one of an offer', [[EXTENSION.preSharedKey, offer(ticketOf(1))]], 1],
    ['is the one of a later identity', [[EXTENSION.preSharedKey, offer(stranger, ticketOf(1))]], 1],
    [
      'is the one of an identity among the first eight',
      [[EXTENSION.preSharedKey, offer(...Array(7).fill(stranger), ticketOf(1))]],
      1,
    ],
    [
      'is not looked for beyond',
      [[EXTENSION.preSharedKey, offer(...Array(8).fill(stranger), ticketOf(1))]],
      0,
    ],
  ])('%s', (_, extensions, expected) => {
    expect(ticketKeyFor(helloWith(extensions), keys)).toBe(expected);
  });

  it('is one of them, whatever is sent', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((some) => Buffer.from(some)),
      fc
        .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 200 }), fc.nat(0xffff))
        .map(([index, cut, size]) =>
          Buffer.concat([uint16(size), offer(stranger, ticketOf(index)).subarray(2)]).subarray(0, cut),
        ),
    );
    fc.assert(
      fc.property(bytes, bytes, (ticket, psk) => {
        const index = ticketKeyFor(
          helloWith([
            [EXTENSION.sessionTicket, ticket],
            [EXTENSION.preSharedKey, psk],
          ]),
          keys,
        );
        expect(keys[index]).toBeDefined();
      }),
    );
  });
});

describe('keys as Node has them', () => {
  it('are made of all 80 bytes, and of the salt', () => {
    const base = Buffer.alloc(80, 1);
    const all = [0, 40, 79].map((at) => {
      const other = Buffer.from(base);
      other[at] = 2;
      return other;
    });
    const made = [
      ...nodeTicketKeys([base, ...all], NO_SALT),
      ...nodeTicketKeys([base], Buffer.from('salt')),
    ].map((key) => key.toString('hex'));
    expect(new Set(made).size).toBe(5);
    expect(made[0]).toHaveLength(96);
    expect(nodeTicketKeys([base], NO_SALT)[0]?.toString('hex')).toBe(made[0]);
  });
});
