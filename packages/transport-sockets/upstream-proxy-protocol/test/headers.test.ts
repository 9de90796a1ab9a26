import { Address } from '@dragoman/core';
import { connectionInfo } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  client,
  type Config,
  contextWith,
  header,
  INCLUDE,
  INCLUDE_ALL,
  INFO,
  socketFor,
  tlv,
  V1,
  V2,
} from './scene.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const FROM = '202.168.0.13:52000';
const TO = '174.2.2.222:80';
/** 202.168.0.13 174.2.2.222 52000 80 */
const IPV4 = 'caa8000d' + 'ae0202de' + 'cb20' + '0050';
const IPV6 =
  '00010002000300000000000000000004' + '000100200003' + '0000'.repeat(4) + '0005' + '0008' + '0002';
const IPV6_FROM = '[1:2:3::4]:8';
const IPV6_TO = '[1:20:3::5]:2';

describe('version 1', () => {
  const line = (...args: Parameters<typeof client>) =>
    header({ version: V1 }, client(...args)).toString('latin1');

  it.each([
    [FROM, TO, 'PROXY TCP4 202.168.0.13 174.2.2.222 52000 80\r\n'],
    [IPV6_FROM, IPV6_TO, 'PROXY TCP6 1:2:3::4 1:20:3::5 8 2\r\n'],
    ['1.2.3.4:0', '5.6.7.8:65535', 'PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n'],
    // Nothing between: what one family cannot say the other can.
    [FROM, IPV6_TO, 'PROXY TCP6 ::ffff:202.168.0.13 1:20:3::5 52000 2\r\n'],
    [IPV6_FROM, TO, 'PROXY TCP6 1:2:3::4 ::ffff:174.2.2.222 8 80\r\n'],
    ['/run/client.sock', TO, 'PROXY UNKNOWN\r\n'],
    [FROM, '@abstract', 'PROXY UNKNOWN\r\n'],
  ])('%s → %s', (source, destination, expected) => {
    expect(line(source, destination)).toBe(expected);
  });

  it('has no room for TLVs', () => {
    expect(line(FROM, TO, [tlv(2, 'authority')])).toBe('PROXY TCP4 202.168.0.13 174.2.2.222 52000 80\r\n');
  });

  it.each([undefined, { key: 'sni' }])(
    'tells the ends of the connection itself where nobody stands behind it',
    (options) => {
      const expected = 'PROXY TCP4 174.2.2.222 172.0.0.1 50000 80\r\n';
      expect(header(undefined, options).toString()).toBe(expected);
      const ipv6 = connectionInfo({
        localAddress: Address.ip('a:b:c:d::', 50_000),
        directRemoteAddress: Address.ip('e:b:c:f::', 8080),
      });
      expect(header({}, options, ipv6).toString()).toBe('PROXY TCP6 a:b:c:d:: e:b:c:f:: 50000 8080\r\n');
      const pipe = connectionInfo({
        localAddress: Address.pipe(''),
        directRemoteAddress: Address.pipe('/run/x'),
      });
      expect(header({}, options, pipe).toString()).toBe('PROXY UNKNOWN\r\n');
    },
  );

  it('leaves zones out: they mean something on this machine only', () => {
    expect(line('[fe80::1%eth0]:1', '[fe80::2]:2')).toBe('PROXY TCP6 fe80::1 fe80::2 1 2\r\n');
  });
});

describe('version 2', () => {
  const hex = (config: Config, ...args: Parameters<typeof client>) =>
    header({ version: V2, ...config }, client(...args)).toString('hex');

  it.each([
    ['IPv4', FROM, TO, `21110c${IPV4}`.replace('21110c', '2111000c')],
    ['IPv6', IPV6_FROM, IPV6_TO, `21210024${IPV6}`],
    [
      'an IPv4 address besides an IPv6 address',
      FROM,
      '[::]:2',
      `21210024${'00'.repeat(10)}ffffcaa8000d${'00'.repeat(16)}cb200002`,
    ],
    [
      'all forms of IPv6',
      '[::1]:1',
      '[2001:db8:1:2:3:4:192.0.2.1]:2',
      `21210024${'00'.repeat(15)}0120010db80001000200030004c000020100010002`,
    ],
    [
      'the end of IPv6',
      '[fe80::]:1',
      '[1:2:3:4:5:6:7:8]:2',
      `21210024fe80${'00'.repeat(14)}0001000200030004000500060007000800010002`,
    ],
    ['a Unix socket', '/run/client.sock', TO, '20000000'],
    ['to a Unix socket', FROM, '/run/listener.sock', '20000000'],
  ])('%s', (_, source, destination, expected) => {
    expect(hex({}, source, destination)).toBe(SIGNATURE + expected);
  });

  it.each([undefined, { key: 'sni' }])(
    'is LOCAL, without TLVs, where nobody stands behind the connection',
    (options) => {
      const config: Config = { version: V2, addedTlvs: [{ type: 5, value: Buffer.from('x') }] };
      expect(header(config, options).toString('hex')).toBe(`${SIGNATURE}20000000`);
    },
  );

  const h2 = tlv(1, 'h2');
  const authority = tlv(2, 'a.b');
  const H2 = '01' + '0002' + '6832';
  const AUTHORITY = '02' + '0003' + '612e62';
  const added = (...entries: [number, string][]) => ({
    addedTlvs: entries.map(([type, value]) => ({ type, value: Buffer.from(value) })),
  });
  const all = { passThroughTlvs: { matchType: INCLUDE_ALL } };

  it.each<[string, Config, string]>([
    ['none', {}, ''],
    ['INCLUDE_ALL', all, H2 + AUTHORITY + H2],
    ['INCLUDE_ALL, whatever tlv_type says', { passThroughTlvs: { tlvType: [9] } }, H2 + AUTHORITY + H2],
    ['INCLUDE', { passThroughTlvs: { matchType: INCLUDE, tlvType: [2, 5] } }, AUTHORITY],
    ['INCLUDE of nothing', { passThroughTlvs: { matchType: INCLUDE } }, ''],
    ['added', added([0xe0, 'x'], [0xe0, 'y'], [255, '12']), 'e0000178' + 'e0000179' + 'ff00023132'],
    [
      'added before those that pass through, and in place of their kind',
      { ...all, ...added([1, 'h3']) },
      '0100026833' + AUTHORITY,
    ],
    [
      'formats, after bytes',
      {
        ...all,
        addedTlvs: [
          {
            type: 2,
            formatString: { format: { case: 'textFormat', value: '%UPSTREAM_HOST%é%HOSTNAME%\n' } },
          },
          { type: 7, value: Buffer.from([0]) },
        ],
      },
      `070001002000`.slice(0, 8) +
        `02000d${Buffer.from('-é').toString('hex')}${Buffer.from('host.test\n').toString('hex')}${H2}${H2}`,
    ],
  ])('TLVs: %s', (_, config, expected) => {
    const bytes = hex(config, FROM, TO, [h2, authority, h2]);
    const length = (12 + expected.length / 2).toString(16).padStart(4, '0');
    expect(bytes).toBe(`${SIGNATURE}2111${length}${IPV4}${expected}`);
  });

  it('formats know the upstream connection', () => {
    const config: Config = {
      version: V2,
      addedTlvs: [
        {
          type: 9,
          formatString: {
            format: { case: 'textFormat', value: '%CONNECTION_ID% %DOWNSTREAM_LOCAL_ADDRESS%' },
          },
        },
      ],
    };
    const bytes = header(config, client(FROM, TO));
    expect(bytes.subarray(28 + 3).toString()).toBe('12 174.2.2.222:50000');
  });

  it('leaves out what makes it too long, and counts', () => {
    const context = contextWith();
    const socket = socketFor({ version: V2, ...all }, context);
    const counted = () =>
      context.stats.value('cluster.test.upstream.proxyprotocol.v2_tlvs_exceed_max_length');
    const of = (source: string, ...sizes: number[]) => {
      const tlvs = sizes.map((size, i) => tlv(i, Buffer.alloc(size, i)));
      return socket.preamble?.(INFO, client(source, source, tlvs)) as Buffer;
    };
    // As full as can be.
    expect(of(FROM, 65_535 - 12 - 3)).toHaveLength(16 + 65_535);
    expect(of(IPV6_FROM, 65_535 - 36 - 3)).toHaveLength(16 + 65_535);
    expect(counted()).toBe(0);
    expect(of(FROM, 65_535 - 12 - 2)).toHaveLength(16 + 12);
    expect(counted()).toBe(1);
    const bytes = of(FROM, 60_000, 10_000, 5_000);
    expect(bytes).toHaveLength(16 + 12 + 3 + 60_000 + 3 + 5_000);
    expect(bytes.readUInt16BE(14)).toBe(bytes.length - 16);
    expect(bytes[16 + 12 + 3 + 60_000]).toBe(2);
    expect(counted()).toBe(2);
  });
});
