import { create, ProxyProtocolSchema } from '@dragoman/api';
import { PROXY_PROTOCOL_STATE, type ProxyProtocolState } from '@dragoman/core';
import { listenerFilterConformance, peekThrough, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { proxyProtocol } from '../src/index.ts';
import { IPV4, IPV6, SIGNATURE, tlv, v2, type V2Parts } from './headers.ts';

const configOf = (fields: object = {}) => create(ProxyProtocolSchema, fields) as never;
const V1 = 0;
const V2 = 1;

function take(input: Buffer | string, fields: object = {}, step?: number) {
  const context = testContext();
  const bytes = typeof input === 'string' ? Buffer.from(input, 'latin1') : input;
  const outcome = peekThrough(
    proxyProtocol.create(configOf(fields), context)(),
    bytes,
    step ?? Math.max(bytes.length, 1),
  );
  const { remoteAddress, localAddress, filterState } = outcome.info;
  return {
    ...outcome,
    used: context.stats.used(),
    remote: remoteAddress.text,
    local: localAddress.text,
    state: filterState?.get(PROXY_PROTOCOL_STATE) as ProxyProtocolState | undefined,
    filterState,
    metadata: outcome.streamInfo.hasDynamicMetadata
      ? Object.fromEntries(outcome.streamInfo.dynamicMetadata)
      : undefined,
  };
}

/** The addresses of the socket in the tests. */
const SOCKET = { remote: '192.0.2.1:40000', local: '192.0.2.2:80' };
const LINE = 'PROXY TCP4 1.2.3.4 5.6.7.8 773 80\r\n';

listenerFilterConformance(
  { describe, it },
  {
    extension: proxyProtocol,
    config: configOf({ rules: [{ tlvType: 2, onTlvPresent: { key: 'authority' } }], passThroughTlvs: {} }),
    invalid: [
      {
        name: 'both versions disallowed',
        config: configOf({ disallowedVersions: [V1, V2] }),
        path: 'disallowed_versions',
      },
    ],
    samples: [
      { name: 'version 1', bytes: Buffer.from(`${LINE}GET /`), verdict: 'continue', consumed: LINE.length },
      {
        name: 'version 2',
        bytes: Buffer.concat([v2({ tlvs: [tlv(2, 'a')] }), IPV4]),
        verdict: 'continue',
        consumed: 32,
      },
      { name: 'something else', bytes: Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), verdict: 'close' },
    ],
  },
);

describe('version 1', () => {
  it.each<[string, string, string]>([
    [LINE, '1.2.3.4:773', '5.6.7.8:80'],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n', '1.2.3.4:0', '5.6.7.8:65535'],
    ['PROXY TCP6 1:2:3::4 5:6::7:8 65535 1234\r\n', '[1:2:3::4]:65535', '[5:6::7:8]:1234'],
    ['PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::2 1 2\r\n', '[2001:db8::1]:1', '[::2]:2'],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 773 80 \r\n', '1.2.3.4:773', '5.6.7.8:80'],
    ['PROXY UNKNOWN\r\n', SOCKET.remote, SOCKET.local],
    ['PROXY UNKNOWN ffff::1 what ever 1\r\n', SOCKET.remote, SOCKET.local],
    [`PROXY UNKNOWN ${'x'.repeat(108 - 16)}\r\n`, SOCKET.remote, SOCKET.local],
  ])('%j', (line, remote, local) => {
    for (const step of [1, 4, 1000]) {
      const outcome = take(`${line}body`, {}, step);
      expect(outcome).toMatchObject({ verdict: 'continue', consumed: line.length, remote, local });
      expect(outcome.info.directRemoteAddress.text).toBe(SOCKET.remote);
      expect(outcome.used).toEqual({ 'proxy_proto.versions.v1.found': 1 });
      expect(outcome.state).toMatchObject({ version: 1, tlvs: [] });
      expect([outcome.state?.remoteAddress.text, outcome.state?.localAddress.text]).toEqual([remote, local]);
    }
  });

  it.each([
    'PROXY\r\n',
    'PROXY \r\n',
    'PROXY TCP4\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 773\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 773 80 90\r\n',
    'PROXY  TCP4 1.2.3.4 5.6.7.8 773 80\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 773 65536\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 -1 80\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 a 80\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8  80\r\n',
    'PROXY TCP4 1.2.3 5.6.7.8 773 80\r\n',
    'PROXY TCP4 ::1 ::2 773 80\r\n',
    'PROXY TCP6 1.2.3.4 5.6.7.8 773 80\r\n',
    'PROXY TCP6 fe80::1%eth0 ::2 773 80\r\n',
    'PROXY TCP4 0.0.0.0 5.6.7.8 773 80\r\n',
    'PROXY TCP4 1.2.3.4 255.255.255.255 773 80\r\n',
    'PROXY TCP4 224.0.0.1 5.6.7.8 773 80\r\n',
    'PROXY TCP4 1.2.3.4 239.255.255.255 773 80\r\n',
    'PROXY TCP6 :: ::2 773 80\r\n',
    'PROXY TCP6 ::1 ff02::1 773 80\r\n',
    'PROXY UDP4 1.2.3.4 5.6.7.8 773 80\r\n',
    'proxy TCP4 1.2.3.4\r\n',
    'GET / H\r\n',
    `PROXY UNKNOWN ${'x'.repeat(109 - 16)}\r\n`,
  ])('%j: malformed', (line) => {
    const outcome = take(line);
    expect(outcome).toMatchObject({ verdict: 'close', ...SOCKET, state: undefined });
    // What cannot be a header any more is not waited for.
    const missing = !line.startsWith('PROXY') && line.length >= 16;
    expect(outcome.used).toEqual({
      [missing ? 'proxy_proto.not_found_disallowed' : 'proxy_proto.versions.v1.error']: 1,
      downstream_cx_proxy_proto_error: 1,
    });
  });

  it.each([
    [LINE, true],
    ['PROXY TCP4 1.2.3.4 192.0.2.2 773 80\r\n', false],
    ['PROXY UNKNOWN\r\n', false],
  ])('%j: the local address is another: %s', (line, restored) => {
    expect(take(line).info.localAddressRestored ?? false).toBe(restored);
  });

  it('takes addresses beside those that nobody can have', () => {
    expect(take('PROXY TCP4 223.255.255.255 240.0.0.1 1 2\r\n').verdict).toBe('continue');
  });

  it('ends within 108 bytes', () => {
    for (const fields of [{}, { allowRequestsWithoutProxyProtocol: true }]) {
      const { verdict, used } = take(`PROXY TCP4 ${'1'.repeat(200)}`, fields, 1);
      expect(verdict).toBe('close');
      expect(used).toEqual({ 'proxy_proto.not_found_disallowed': 1, downstream_cx_proxy_proto_error: 1 });
    }
  });
});

describe('version 2', () => {
  it.each<[string, V2Parts, string, string]>([
    ['IPv4', {}, '1.2.3.4:773', '5.6.7.8:80'],
    ['IPv4 over UDP', { family: 0x12 }, '1.2.3.4:773', '5.6.7.8:80'],
    ['IPv6', { family: 0x21, addresses: IPV6 }, '[2001:db8::1]:773', '[2001:db8::2]:80'],
    ['IPv6 over UDP', { family: 0x22, addresses: IPV6 }, '[2001:db8::1]:773', '[2001:db8::2]:80'],
    [
      'LOCAL',
      { versionAndCommand: 0x20, family: 0, addresses: Buffer.alloc(0) },
      SOCKET.remote,
      SOCKET.local,
    ],
    ['LOCAL with addresses', { versionAndCommand: 0x20 }, SOCKET.remote, SOCKET.local],
    [
      'LOCAL with what is no TLV',
      { versionAndCommand: 0x20, addresses: Buffer.alloc(7, 255) },
      SOCKET.remote,
      SOCKET.local,
    ],
    [
      'TLVs that nobody wants',
      { tlvs: [tlv(1, 'h2'), tlv(0xea, ''), tlv(4, Buffer.alloc(1000))] },
      '1.2.3.4:773',
      '5.6.7.8:80',
    ],
    ['64 KiB of TLVs', { tlvs: [tlv(4, Buffer.alloc(65_535 - 15))] }, '1.2.3.4:773', '5.6.7.8:80'],
  ])('%s', (_, parts, remote, local) => {
    const header = v2(parts);
    for (const step of header.length > 10_000 ? [4096, 100_000] : [1, 5, 10_000]) {
      const outcome = take(Buffer.concat([header, Buffer.from('body')]), {}, step);
      expect(outcome).toMatchObject({ verdict: 'continue', consumed: header.length, remote, local });
      expect(outcome.used).toEqual({ 'proxy_proto.versions.v2.found': 1 });
      expect(outcome.state).toMatchObject({ version: 2, tlvs: [] });
    }
  });

  it.each<[string, V2Parts]>([
    ['version 1 in binary', { versionAndCommand: 0x11 }],
    ['an unknown command', { versionAndCommand: 0x22 }],
    ['no family', { family: 0 }],
    ['a Unix socket', { family: 0x31, addresses: Buffer.alloc(216) }],
    ['an unknown family', { family: 0x41, addresses: Buffer.alloc(216) }],
    ['an unknown transport', { family: 0x13 }],
    ['no transport', { family: 0x10 }],
    ['too short for IPv4', { length: 11 }],
    ['too short for IPv6', { family: 0x21, addresses: IPV6, length: 35 }],
    ['an address of nobody', { addresses: Buffer.from([0, 0, 0, 0, 5, 6, 7, 8, 3, 5, 0, 80]) }],
    ['an address of many', { addresses: Buffer.from([1, 2, 3, 4, 224, 0, 0, 1, 3, 5, 0, 80]) }],
    ['IPv6 of nobody', { family: 0x21, addresses: Buffer.alloc(36) }],
    ['a cut TLV header', { tlvs: [Buffer.from([1, 0])] }],
    ['a cut TLV', { tlvs: [tlv(1, 'h2').subarray(0, 4)] }],
  ])('%s: malformed', (_, parts) => {
    const header = v2(parts);
    for (const step of [1, header.length]) {
      const outcome = take(header, { rules: [{ tlvType: 1, onTlvPresent: { key: 'a' } }] }, step);
      expect(outcome).toMatchObject({ verdict: 'close', ...SOCKET, state: undefined, metadata: undefined });
      expect(outcome.used).toEqual({
        'proxy_proto.versions.v2.error': 1,
        downstream_cx_proxy_proto_error: 1,
      });
    }
  });

  it('is waited for', () => {
    const header = v2({ tlvs: [tlv(1, 'h2')] });
    for (let length = 0; length < header.length; length++) {
      const { verdict, used } = take(header.subarray(0, length), {}, 1);
      expect([verdict, used]).toEqual(['wait', {}]);
    }
  });

  it('asks for what its length says', () => {
    const filter = proxyProtocol.create(configOf(), testContext())();
    expect(filter.maxReadBytes).toBe(232);
    const header = v2({ tlvs: [tlv(4, Buffer.alloc(5000))] });
    peekThrough(filter, header.subarray(0, 100), 100);
    expect(filter.maxReadBytes).toBe(header.length);
  });
});

describe('allow_requests_without_proxy_protocol', () => {
  const allow = { allowRequestsWithoutProxyProtocol: true };
  it.each<[string, object, string | Buffer, number]>([
    ['other bytes', allow, 'GET / HTTP/1.1\r\n', 1],
    ['a shorter message than any header', allow, 'hi', 1],
    ['nearly version 1', allow, 'PROXIES', 6],
    ['nearly version 2', allow, Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from('x')]), 12],
    ['version 1 where it is disallowed', { ...allow, disallowedVersions: [V1] }, LINE, 1],
    ['version 2 where it is disallowed', { ...allow, disallowedVersions: [V2] }, v2(), 1],
  ])('lets %s through untouched', (_, fields, bytes, step) => {
    const outcome = take(bytes, fields, step);
    expect(outcome).toMatchObject({ verdict: 'continue', consumed: 0, ...SOCKET, state: undefined });
    expect(outcome.used).toEqual({ 'proxy_proto.not_found_allowed': 1 });
  });

  it('takes headers nevertheless', () => {
    expect(take(LINE, allow).used).toEqual({ 'proxy_proto.versions.v1.found': 1 });
    expect(take(v2(), allow).used).toEqual({ 'proxy_proto.versions.v2.found': 1 });
    expect(take('PROXY TCP4 x\r\n', allow).verdict).toBe('close');
  });

  it('waits while the bytes may become a header', () => {
    expect(take('PROX', allow).verdict).toBe('wait');
    expect(take(SIGNATURE, allow).verdict).toBe('wait');
  });
});

describe('disallowed_versions', () => {
  it.each<[string, object, string | Buffer, string]>([
    ['version 1', { disallowedVersions: [V1] }, LINE, 'v1'],
    ['a malformed version 1', { disallowedVersions: [V1] }, 'PROXY TCP4 x\r\n', 'v1'],
    ['version 2', { disallowedVersions: [V2] }, v2(), 'v2'],
    ['the beginning of version 2', { disallowedVersions: [V2] }, v2().subarray(0, 16), 'v2'],
    ['a malformed version 2', { disallowedVersions: [V2] }, v2({ family: 0 }), 'v2'],
  ])('refuses %s', (_, fields, bytes, version) => {
    const outcome = take(bytes, fields);
    expect(outcome).toMatchObject({ verdict: 'close', ...SOCKET });
    expect(outcome.used).toEqual({
      [`proxy_proto.versions.${version}.found`]: 1,
      [`proxy_proto.versions.${version}.disallowed`]: 1,
    });
  });

  it('takes the other one', () => {
    expect(take(LINE, { disallowedVersions: [V2] }).verdict).toBe('continue');
    expect(take(v2(), { disallowedVersions: [V1] }).verdict).toBe('continue');
  });
});

it('stat_prefix stands in the names of all but the oldest counter', () => {
  const fields = { statPrefix: 'edge' };
  expect(take(LINE, fields).used).toEqual({ 'proxy_proto.edge.versions.v1.found': 1 });
  expect(take('GET / HTTP/1.1\r\n', fields).used).toEqual({
    'proxy_proto.edge.not_found_disallowed': 1,
    downstream_cx_proxy_proto_error: 1,
  });
});

describe('TLVs', () => {
  const NAME = 'envoy.filters.listener.proxy_protocol';
  const rule = (tlvType: number, key: string, more: object = {}) => ({
    tlvType,
    onTlvPresent: { key, ...more },
  });
  const HEX = { valueFormat: 1 };
  const tlvs = (...all: Buffer[]) => v2({ tlvs: all });

  it.each<[string, object[], Buffer, object | undefined]>([
    ['of a rule', [rule(2, 'authority')], tlvs(tlv(2, 'a.b')), { [NAME]: { authority: 'a.b' } }],
    ['of no rule', [rule(2, 'authority')], tlvs(tlv(3, 'a.b')), undefined],
    [
      'of a namespace',
      [rule(2, 'a', { metadataNamespace: 'mine' })],
      tlvs(tlv(2, 'x')),
      { mine: { a: 'x' } },
    ],
    [
      'of several rules',
      [rule(2, 'a'), rule(0xea, 'b'), rule(255, 'c', { metadataNamespace: 'mine' })],
      tlvs(tlv(0xea, '2'), tlv(2, '1'), tlv(7, 'x'), tlv(255, '3')),
      { [NAME]: { a: '1', b: '2' }, mine: { c: '3' } },
    ],
    ['the first of two', [rule(2, 'a')], tlvs(tlv(2, '1'), tlv(2, '2')), { [NAME]: { a: '1' } }],
    ['the last rule of two', [rule(2, 'a'), rule(2, 'b')], tlvs(tlv(2, '1')), { [NAME]: { b: '1' } }],
    ['empty', [rule(2, 'a')], tlvs(tlv(2, '')), { [NAME]: { a: '' } }],
    ['that are UTF-8', [rule(2, 'a')], tlvs(tlv(2, 'é€😀')), { [NAME]: { a: 'é€😀' } }],
    [
      'that are not',
      [rule(2, 'a')],
      tlvs(
        tlv(
          2,
          Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xc0, 0x80, 0xe2, 0x82, 0x62, 0xed, 0xa0, 0x80, 0xf0, 0x9f]),
        ),
      ),
      { [NAME]: { a: 'a!é!!!!b!!!!!' } },
    ],
    [
      'as hexadecimal digits',
      [rule(0xe0, 'id', HEX)],
      tlvs(tlv(0xe0, Buffer.from('00afc7ee0ac80002', 'hex'))),
      { [NAME]: { id: '00afc7ee0ac80002' } },
    ],
    ['of LOCAL', [rule(2, 'a')], v2({ versionAndCommand: 0x20, tlvs: [tlv(2, 'x')] }), undefined],
  ])('%s', (_, rules, header, metadata) => {
    for (const step of [1, header.length]) {
      const outcome = take(header, { rules }, step);
      expect(outcome.metadata).toEqual(metadata);
      expect(outcome.filterState?.has('envoy.network.proxy_protocol.tlv')).toBe(false);
    }
  });

  it('go into filter state with tlv_location: FILTER_STATE', () => {
    const rules = [rule(2, 'a'), rule(3, 'b', HEX)];
    const outcome = take(tlvs(tlv(3, 'x'), tlv(2, '1'), tlv(2, '2')), { rules, tlvLocation: 1 });
    expect(outcome.metadata).toBeUndefined();
    expect(outcome.filterState?.get('envoy.network.proxy_protocol.tlv')?.toJson?.()).toEqual({
      a: '1',
      b: '78',
    });
    expect(take(v2(), { rules, tlvLocation: 1 }).filterState?.size).toBe(1);
  });

  it.each<[string, object | undefined, [number, string][]]>([
    ['none', undefined, []],
    [
      'INCLUDE_ALL',
      { matchType: 0, tlvType: [9] },
      [
        [1, 'h2'],
        [2, 'a'],
        [2, 'b'],
      ],
    ],
    [
      'INCLUDE',
      { matchType: 1, tlvType: [2, 5] },
      [
        [2, 'a'],
        [2, 'b'],
      ],
    ],
    ['INCLUDE nothing', { matchType: 1 }, []],
  ])('pass_through_tlvs: %s', (_, passThroughTlvs, expected) => {
    const header = tlvs(tlv(1, 'h2'), tlv(2, 'a'), tlv(2, 'b'));
    const { state } = take(header, { passThroughTlvs });
    header.fill(0);
    expect(state?.tlvs.map(({ type, value }) => [type, value.toString()])).toEqual(expected);
  });
});
