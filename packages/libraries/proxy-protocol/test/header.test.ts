import { Address } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { LOCAL_HEADER, MAX_TLV_VALUE_BYTES, writeV1, writeV2 } from '../src/index.ts';

const IPV4 = Address.ip('192.0.2.1', 40_000);
const IPV6 = Address.ip('2001:db8::1', 443);
const PIPE = Address.pipe('/run/x.sock');

describe('version 1', () => {
  it.each([
    [IPV4, IPV4, 'PROXY TCP4 192.0.2.1 192.0.2.1 40000 40000\r\n'],
    [IPV6, IPV4, 'PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 443 40000\r\n'],
    [PIPE, IPV4, 'PROXY UNKNOWN\r\n'],
  ])('%s', (from, to, line) => expect(writeV1(from, to).toString('latin1')).toBe(line));
});

describe('version 2', () => {
  it('writes addresses and ports', () => {
    const { bytes, complete } = writeV2(IPV4, IPV4, []);
    expect(bytes.toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000cc0000201c00002019c409c40');
    expect(complete).toBe(true);
  });

  it('says LOCAL for Unix sockets', () => {
    expect(writeV2(PIPE, IPV4, []).bytes).toEqual(LOCAL_HEADER);
    expect(LOCAL_HEADER.toString('hex')).toBe('0d0a0d0a000d0a515549540a20000000');
  });

  it('leaves out TLVs that find no room', () => {
    const value = Buffer.alloc(MAX_TLV_VALUE_BYTES);
    const { bytes, complete } = writeV2(IPV6, IPV6, [
      { type: 1, value },
      { type: 2, value },
    ]);
    expect(complete).toBe(false);
    expect(bytes.length).toBe(16 + 65_535);
  });
});
