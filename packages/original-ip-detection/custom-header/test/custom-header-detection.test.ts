import { CustomHeaderConfigSchema, readLoose } from '@dragoman/api';
import { RequestHeaders, StreamInfo } from '@dragoman/core';
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
import { customHeaderDetection } from '../src/index.ts';

function detect(config: object, ...values: readonly string[]) {
  const message = readLoose(CustomHeaderConfigSchema, { header_name: 'X-Client', ...config });
  const headers = new RequestHeaders();
  for (const value of values) headers.append('x-client', value);
  const found = customHeaderDetection
    .create(message as never, testContext())
    .detect(headers, new StreamInfo(connectionInfo(), 0, 0));
  return [found.address?.ip, found.trusted, found.rejectStatus, found.appendPeer ?? false];
}

describe('the header', () => {
  it.each([
    [['1.2.3.4'], '1.2.3.4'],
    [['2001:db8::1'], '2001:db8::1'],
    // Only the first line counts.
    [['1.2.3.4', '5.6.7.8'], '1.2.3.4'],
    [['x', '5.6.7.8'], undefined],
    [['1.2.3.4,5.6.7.8'], undefined],
    [['1.2.3.4:80'], undefined],
    [['[::1]'], undefined],
    [[''], undefined],
    [[], undefined],
  ])('%j: %s', (values, ip) => {
    expect(detect({}, ...values)).toEqual([ip, false, undefined, false]);
  });
});

describe('the address', () => {
  it.each([
    [true, '10.0.0.1', ['10.0.0.1', true, undefined, false]],
    [false, '10.0.0.1', ['10.0.0.1', false, undefined, false]],
    [true, 'x', [undefined, false, undefined, false]],
  ])('with allow_extension_to_set_address_as_trusted: %s, of %s', (allow, value, expected) => {
    expect(detect({ allow_extension_to_set_address_as_trusted: allow }, value)).toEqual(expected);
  });
});

describe('reject_with_status', () => {
  it.each([
    [400, 400],
    [401, 401],
    [511, 511],
    // No errors.
    [200, 403],
    [308, 403],
  ])('%d: %d', (code, status) => {
    const config = { reject_with_status: { code } };
    expect(detect(config)).toEqual([undefined, false, status, false]);
    expect(detect(config, 'x')).toEqual([undefined, false, status, false]);
    expect(detect(config, '1.2.3.4')).toEqual(['1.2.3.4', false, undefined, false]);
  });
});

describe('in a proxy', () => {
  const start = (port: number, ...configs: object[]) =>
    startProxy(
      httpBootstrap({
        clusters: { web: port },
        manager: {
          original_ip_detection_extensions: configs.map((config) => ({
            name: 'envoy.http.original_ip_detection.custom_header',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig',
              ...config,
            },
          })),
        },
      }),
      {
        extensions: [
          customHeaderDetection,
          httpConnectionManager,
          router,
          roundRobin,
          staticDiscovery,
          uuidRequestId,
        ],
      },
    );

  it('a request without an address is refused, and counted', async () => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using proxy = await start(upstream.port, {
      header_name: 'x-client',
      reject_with_status: { code: 'Unauthorized' },
    });
    expect((await proxy.get('/')).status).toBe(401);
    expect(proxy.stat('http.ingress.downstream_rq_rejected_via_ip_detection')).toBe(1);
    expect((await proxy.get('/', 'x-client: 1.2.3.4')).status).toBe(200);
  });

  it.each([
    ['the first that finds one decides', ['x-a: 10.1.1.1', 'x-b: 203.0.113.1'], 'true'],
    ['the next is asked', ['x-b: 203.0.113.1'], undefined],
    ['nobody finds one', [], undefined],
  ])('several: %s', async (_what, lines, internal) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await using proxy = await start(
      upstream.port,
      { header_name: 'x-a', allow_extension_to_set_address_as_trusted: true },
      { header_name: 'x-b', allow_extension_to_set_address_as_trusted: true },
    );
    await proxy.get('/', ...lines);
    const request = await upstream.request();
    expect(request.header('x-envoy-internal')).toBe(internal);
    expect(request.header('x-forwarded-for')).toBeUndefined();
  });
});
