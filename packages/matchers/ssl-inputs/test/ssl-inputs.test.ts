import { create } from '@dragoman/api';
import { NOT_AVAILABLE, StreamInfo, type TlsInfo } from '@dragoman/core';
import { connectionInfo, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { dnsSanInput, subjectInput, uriSanInput } from '../src/index.ts';

const inputs = { dnsSanInput, subjectInput, uriSanInput };

const TLS: TlsInfo = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' };

describe.each<[name: keyof typeof inputs, tls: TlsInfo | undefined, expected: string | symbol | undefined]>([
  ['uriSanInput', undefined, NOT_AVAILABLE],
  ['uriSanInput', TLS, undefined],
  ['uriSanInput', { ...TLS, peerUriSans: [] }, undefined],
  ['uriSanInput', { ...TLS, peerUriSans: ['spiffe://a/b', 'urn:c'] }, 'spiffe://a/b,urn:c'],
  ['dnsSanInput', undefined, NOT_AVAILABLE],
  ['dnsSanInput', { ...TLS, peerDnsSans: ['a.com', '*.b.com'] }, 'a.com,*.b.com'],
  ['subjectInput', undefined, NOT_AVAILABLE],
  ['subjectInput', { ...TLS, peerSubject: '' }, undefined],
  ['subjectInput', { ...TLS, peerSubject: 'CN=a,O=b' }, 'CN=a,O=b'],
])('%s of %j', (name, tls, expected) => {
  it(`is ${String(expected)}`, () => {
    const extension = inputs[name];
    const config = create(extension.config as never) as never;
    const connection = connectionInfo({ tls });
    expect(
      extension.createConnection?.(config, testContext()).get({ connection, filterState: undefined }),
    ).toBe(expected);
    expect(
      extension.createHttp?.(config, testContext()).get({
        info: new StreamInfo(connection, 0, 0),
        requestHeaders: undefined,
        requestTrailers: undefined,
        responseHeaders: undefined,
        responseTrailers: undefined,
      }),
    ).toBe(expected);
  });
});
