import { Address } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { ListenersByAddress } from '../src/listener/listeners-by-address.ts';

const at = (text: string, ipv6Only = false) => ({ address: Address.of(text), ipv6Only });

describe('listeners by address', () => {
  const listeners = new ListenersByAddress<string>();
  listeners.set('exact', [at('10.0.0.1:80'), at('[2001:db8::1]:80')]);
  listeners.set('any-v4', [at('0.0.0.0:80')]);
  listeners.set('any-v6', [at('[::]:80'), at('[::]:81')]);
  listeners.set('only-v6', [at('[::]:82', true)]);
  listeners.set('pipe', [at('/run/x.sock')]);

  it.each([
    ['10.0.0.1:80', 'exact'],
    ['10.0.0.2:80', 'any-v4'],
    ['10.0.0.1:81', 'any-v6'],
    ['10.0.0.1:82', undefined],
    ['10.0.0.1:83', undefined],
    ['[2001:db8::1]:80', 'exact'],
    ['[2001:db8::2]:80', 'any-v6'],
    ['[2001:db8::1]:82', 'only-v6'],
    ['[2001:db8::1]:83', undefined],
    ['/run/x.sock', undefined],
  ])('%s: %s', (address, expected) => {
    expect(listeners.find(Address.of(address))).toBe(expected);
  });

  it('the last of several holds while it is there', () => {
    const updated = new ListenersByAddress<string>();
    updated.set('old', [at('10.0.0.1:80'), at('10.0.0.1:81')]);
    updated.set('new', [at('10.0.0.1:80')]);
    const found = (port: number) => updated.find(Address.of(`10.0.0.1:${port}`));
    expect([found(80), found(81)]).toEqual(['new', 'old']);
    updated.delete('new');
    expect(found(80)).toBe('old');
    updated.set('old', [at('10.0.0.1:82')]);
    expect([found(80), found(81), found(82)]).toEqual([undefined, undefined, 'old']);
  });
});
