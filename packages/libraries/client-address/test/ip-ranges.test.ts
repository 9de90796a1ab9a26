import { BlockList } from 'node:net';
import { Address } from '@dragoman/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { IpRanges } from '../src/index.ts';

/** Few different bits, so that addresses and networks meet. */
const ipv4 = fc
  .tuple(...[1, 2, 3, 4].map(() => fc.constantFrom(0, 10, 127, 128, 192, 255)))
  .map((parts) => parts.join('.'));
const ipv6 = fc.oneof(
  fc
    .tuple(...[1, 2, 3, 4, 5, 6, 7, 8].map(() => fc.constantFrom('0', '1', 'fd00', 'ffff', '8000')))
    .map((parts) => parts.join(':')),
  fc.constantFrom('::', '::1', 'fd00::', 'fe80::1:2', '1::', '64:ff9b::10.0.0.1', '::127.0.0.1'),
);
const network = fc.oneof(
  fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })),
  fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })),
);

it("finds what Node's BlockList finds", () => {
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 4 }),
      fc.array(fc.oneof(ipv4, ipv6), { minLength: 1 }),
      (networks, ips) => {
        // One for each family: BlockList would also find an IPv4 address in an IPv6 network.
        const oracles = { ipv4: new BlockList(), ipv6: new BlockList() };
        const ranges = new IpRanges();
        for (const [ip, bits] of networks) {
          const address = Address.ip(ip, 0);
          ranges.add({ addressPrefix: ip, prefixLen: bits });
          if (address.family !== 'pipe') oracles[address.family].addSubnet(address.ip, bits, address.family);
        }
        for (const ip of ips) {
          const address = Address.ip(ip, 0);
          if (address.family === 'pipe') continue;
          expect([ip, ranges.has(address)]).toEqual([
            ip,
            oracles[address.family].check(address.ip, address.family),
          ]);
        }
      },
    ),
    { numRuns: 1000 },
  );
});
