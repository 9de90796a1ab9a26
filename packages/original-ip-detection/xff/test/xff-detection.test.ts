import { readLoose, XffConfigSchema } from '@dragoman/api';
import { Address, type ConfigError, RequestHeaders, StreamInfo } from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  connectionInfo,
  HttpUpstream,
  httpBootstrap,
  startProxy,
  testContext,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { xffDetection } from '../src/index.ts';

const detection = (config: object) =>
  xffDetection.create(readLoose(XffConfigSchema, config) as never, testContext());

function detect(config: object, forwardedFor: string | undefined, peer = '10.0.0.1') {
  const headers = new RequestHeaders();
  if (forwardedFor !== undefined) headers.append('x-forwarded-for', forwardedFor);
  const remoteAddress = peer.startsWith('/') ? Address.pipe(peer) : Address.ip(peer, 5);
  const info = new StreamInfo(connectionInfo({ remoteAddress }), 0, 0);
  const { address, trusted, appendPeer, rejectStatus } = detection(config).detect(headers, info);
  expect(rejectStatus).toBeUndefined();
  return [address?.ip, trusted, appendPeer];
}

describe('xff_num_trusted_hops', () => {
  it.each([
    [{}, undefined, [undefined, false, false]],
    [{}, '1.2.3.4', ['1.2.3.4', true, false]],
    [{}, '1.2.3.4,2.2.2.2', ['2.2.2.2', false, false]],
    [{ xff_num_trusted_hops: 1 }, '1.2.3.4,2.2.2.2', ['1.2.3.4', false, false]],
    [{ xff_num_trusted_hops: 2 }, '1.2.3.4,2.2.2.2', [undefined, false, false]],
    [{}, 'nonsense', [undefined, false, false]],
    [{ skip_xff_append: true }, '1.2.3.4', ['1.2.3.4', true, false]],
    [{ skip_xff_append: false }, '1.2.3.4', ['1.2.3.4', true, true]],
    [{ skip_xff_append: false }, undefined, [undefined, false, true]],
  ])('%o with x-forwarded-for: %s', (config, forwardedFor, expected) => {
    expect(detect(config, forwardedFor)).toEqual(expected);
  });
});

describe('xff_trusted_cidrs', () => {
  const config = {
    xff_trusted_cidrs: {
      cidrs: [
        { address_prefix: '192.0.2.0', prefix_len: 24 },
        { address_prefix: '2001:db8:7e57:1::', prefix_len: 64 },
      ],
    },
  };

  it.each([
    // The peer is none of them: it is not believed.
    ['10.10.11.11', '1.2.3.4,2.2.2.2', [undefined, false, false]],
    ['/run/peer', '1.2.3.4', [undefined, false, false]],
    ['192.0.2.11', '1.2.3.4,2.2.2.2', ['2.2.2.2', false, false]],
    ['2001:db8:7e57:1::1', '1.2.3.4,2.2.2.2', ['2.2.2.2', false, false]],
    ['192.0.2.11', '1.2.3.4,2.2.2.2,192.0.2.5, 192.0.2.1', ['2.2.2.2', false, false]],
    ['192.0.2.11', '192.0.2.4,192.0.2.5', ['192.0.2.4', false, false]],
    ['192.0.2.11', '2.2.2.2', ['2.2.2.2', true, false]],
    ['192.0.2.11', '192.0.2.4,, 192.0.2.1', [undefined, false, false]],
    ['192.0.2.11', undefined, [undefined, false, false]],
    ['192.0.2.11', Array.from({ length: 21 }, (_, i) => `10.0.0.${i}`).join(', '), [undefined, false, false]],
  ])('peer %s, x-forwarded-for: %s', (peer, forwardedFor, expected) => {
    expect(detect(config, forwardedFor, peer)).toEqual(expected);
  });

  it.each([
    ['192.0.2.1', ['2.2.2.2', true, true]],
    ['10.10.11.11', [undefined, false, true]],
  ])('with skip_xff_append: false the peer is appended: %s', (peer, expected) => {
    expect(detect({ ...config, skip_xff_append: false }, '2.2.2.2', peer)).toEqual(expected);
  });

  it('an empty list is none', () => {
    expect(detect({ xff_trusted_cidrs: {} }, '2.2.2.2')).toEqual(['2.2.2.2', true, false]);
  });
});

it.each([
  [
    {
      xff_num_trusted_hops: 1,
      xff_trusted_cidrs: { cidrs: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
    },
    'xff_trusted_cidrs: Cannot set both xff_num_trusted_hops and xff_trusted_cidrs',
  ],
  [
    { xff_trusted_cidrs: { cidrs: [{ address_prefix: 'x' }] } },
    'xff_trusted_cidrs.cidrs[0].address_prefix: "x" is not an IP address; expected e.g. 10.0.0.0',
  ],
])('%o is refused', (config, text) => {
  expect(() => detection(config)).toThrow(expect.objectContaining<Partial<ConfigError>>({ message: text }));
});

it.each([true, false])('in a proxy, with skip_xff_append: %s', async (skip) => {
  await using upstream = await HttpUpstream.start(text('ok'));
  await using proxy = await startProxy(
    httpBootstrap({
      clusters: { web: upstream.port },
      manager: {
        original_ip_detection_extensions: [
          {
            name: 'envoy.http.original_ip_detection.xff',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig',
              xff_num_trusted_hops: 1,
              skip_xff_append: skip,
            },
          },
        ],
      },
    }),
    {
      extensions: [xffDetection, httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId],
    },
  );
  await proxy.get('/', 'x-forwarded-for: 203.0.113.9, 10.0.0.7');
  const sent = (await upstream.request()).header('x-forwarded-for');
  // A peer on this machine is written as the machine's own address.
  expect(sent).toMatch(skip ? /^203\.0\.113\.9, 10\.0\.0\.7$/ : /^203\.0\.113\.9, 10\.0\.0\.7,[0-9a-f.:]+$/);
});
