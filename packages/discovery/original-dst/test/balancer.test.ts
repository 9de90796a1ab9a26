import { ClusterSchema, readLoose } from '@dragoman/api';
import {
  Address,
  type ConnectionInfo,
  type LoadBalancer,
  type LoadBalancerContext,
  type MetadataValue,
  StreamInfo,
} from '@dragoman/core';
import { connectionInfo, ProvidedScene, requestHeaders } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { originalDstCluster } from '../src/index.ts';

const STATE = 'envoy.network.transport_socket.original_dst_address';

interface Request {
  readonly connection?: Partial<ConnectionInfo>;
  readonly headers?: Record<string, string>;
  readonly metadata?: Record<string, MetadataValue>;
  readonly state?: string;
}

/** Meant for 10.0.0.1:80, which a listener filter has found. */
const RESTORED = { localAddress: Address.ip('10.0.0.1', 80), localAddressRestored: true };

function cluster(config: object = {}) {
  return readLoose(ClusterSchema, {
    name: 'web',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    ...config,
  }) as never;
}

function context({ connection = RESTORED, headers, metadata, state }: Request): LoadBalancerContext {
  const info = new StreamInfo(connectionInfo(connection), 0, 0);
  if (metadata !== undefined) info.dynamicMetadata.set('where', metadata);
  if (state !== undefined) info.filterState.set(STATE, { toText: () => state });
  return {
    hash: undefined,
    info,
    requestHeaders: headers === undefined ? undefined : requestHeaders(headers),
    metadataMatch: undefined,
  };
}

function scene(config: object = {}) {
  const here = new ProvidedScene();
  const balancer = originalDstCluster.createBalancer?.(cluster(config), here.context) as LoadBalancer;
  const choose = (request: Request = {}) => balancer.choose(context(request));
  return {
    ...here,
    here,
    balancer,
    choose,
    invalid: () => here.stats.value('cluster.web.original_dst_host_invalid'),
  };
}

const BY_HEADER = { original_dst_lb_config: { use_http_header: true } };
const BY_METADATA = {
  original_dst_lb_config: { metadata_key: { key: 'where', path: [{ key: 'to' }, { key: 'go' }] } },
};
const BY_ALL = {
  original_dst_lb_config: { ...BY_HEADER.original_dst_lb_config, ...BY_METADATA.original_dst_lb_config },
};
const HEADER = { 'x-envoy-original-dst-host': '10.0.0.2:81' };
const METADATA = { to: { go: '10.0.0.3:82' } };

describe('where a request goes', () => {
  it.each<[string, object, Request, string | undefined, number]>([
    ['where its connection was meant to go', {}, {}, '10.0.0.1:80', 0],
    ['IPv6', {}, { connection: { ...RESTORED, localAddress: Address.ip('fd00::1', 80) } }, '[fd00::1]:80', 0],
    [
      'IPv6 by its one name',
      BY_HEADER,
      { headers: { 'x-envoy-original-dst-host': '[FD00:0::0001]:80' } },
      '[fd00::1]:80',
      0,
    ],
    [
      'not to an address with a zone',
      BY_HEADER,
      { connection: {}, headers: { 'x-envoy-original-dst-host': '[fe80::1%lo]:80' } },
      undefined,
      1,
    ],
    ['not to the socket itself', {}, { connection: { localAddress: RESTORED.localAddress } }, undefined, 0],
    [
      'not to a Unix socket',
      {},
      { connection: { ...RESTORED, localAddress: Address.pipe('/run/x') } },
      undefined,
      0,
    ],
    ['not where a header says that nobody asked for', {}, { headers: HEADER }, '10.0.0.1:80', 0],
    ['where the header says', BY_HEADER, { headers: HEADER }, '10.0.0.2:81', 0],
    [
      'where a header of another name says',
      { original_dst_lb_config: { use_http_header: true, http_header_name: 'X-Where' } },
      { headers: { ...HEADER, 'x-where': '[fd00::2]:81' } },
      '[fd00::2]:81',
      0,
    ],
    [
      'on, when the header is wrong',
      BY_HEADER,
      { headers: { 'x-envoy-original-dst-host': 'db:81' } },
      '10.0.0.1:80',
      1,
    ],
    [
      'on, when it has no port',
      BY_HEADER,
      { headers: { 'x-envoy-original-dst-host': '10.0.0.2' } },
      '10.0.0.1:80',
      1,
    ],
    [
      'on, when it names a Unix socket',
      BY_HEADER,
      { headers: { 'x-envoy-original-dst-host': '/run/docker.sock' } },
      '10.0.0.1:80',
      1,
    ],
    [
      'nowhere, when nothing else is known',
      BY_HEADER,
      { connection: {}, headers: { 'x-envoy-original-dst-host': '' } },
      undefined,
      1,
    ],
    ['where metadata say', BY_METADATA, { metadata: METADATA }, '10.0.0.3:82', 0],
    [
      'where the first of a list says',
      BY_METADATA,
      { metadata: { to: { go: ['10.0.0.4:83', 'x'] } } },
      '10.0.0.4:83',
      0,
    ],
    ['on, when metadata are no text', BY_METADATA, { metadata: { to: { go: 7 } } }, '10.0.0.1:80', 0],
    ['on, when metadata are elsewhere', BY_METADATA, { metadata: { to: 'x' } }, '10.0.0.1:80', 0],
    ['on, when metadata are wrong', BY_METADATA, { metadata: { to: { go: 'x' } } }, '10.0.0.1:80', 1],
    ['by metadata before the header', BY_ALL, { metadata: METADATA, headers: HEADER }, '10.0.0.3:82', 0],
    [
      'by the header when metadata are wrong',
      BY_ALL,
      { metadata: { to: { go: 'x' } }, headers: HEADER },
      '10.0.0.2:81',
      1,
    ],
    [
      'by filter state before everything',
      BY_ALL,
      { state: '10.0.0.9:99', metadata: METADATA, headers: HEADER },
      '10.0.0.9:99',
      0,
    ],
    [
      'to the port that the config names',
      { original_dst_lb_config: { upstream_port_override: 15_001 } },
      {},
      '10.0.0.1:15001',
      0,
    ],
    [
      'to that port whoever names the address',
      { original_dst_lb_config: { use_http_header: true, upstream_port_override: 443 } },
      { headers: HEADER },
      '10.0.0.2:443',
      0,
    ],
  ])('%s', (_, config, request, address, invalid) => {
    const { choose, invalid: counted, hosts } = scene(config);
    expect(choose(request)?.address.text).toBe(address);
    expect(hosts.addresses).toEqual(address === undefined ? [] : [address]);
    expect(counted()).toBe(invalid);
  });

  it('is nowhere without a request', () => {
    expect(scene().balancer.choose(undefined)).toBeUndefined();
  });
});

describe('hosts', () => {
  it('are made once for an address', () => {
    const { choose, hosts } = scene();
    const host = choose();
    expect(choose()).toBe(host);
    expect(hosts.listed).toEqual([host]);
  });

  it('go when they were not used for a sweep, and are made anew', () => {
    const { choose, hosts, clock } = scene();
    const host = choose();
    clock.advance(5_000);
    expect(hosts.listed).toEqual([host]);
    choose();
    clock.advance(5_000);
    expect(hosts.listed).toEqual([host]);
    clock.advance(5_000);
    expect(hosts.listed).toEqual([]);
    expect(choose()).not.toBe(host);
    clock.advance(10_000);
    expect(hosts.listed).toEqual([]);
  });

  it('stay as long as they have a connection', () => {
    const { choose, hosts, clock } = scene({ cleanup_interval: '1s' });
    const host = choose();
    host?.stats.cxActive.inc();
    clock.advance(60_000);
    expect(hosts.listed).toEqual([host]);
    host?.stats.cxActive.dec();
    clock.advance(1_000);
    expect(hosts.listed).toEqual([]);
  });

  it('are swept no more when the cluster is gone', () => {
    const { choose, balancer, hosts, clock } = scene();
    const host = choose();
    balancer.close?.();
    clock.advance(60_000);
    expect(hosts.listed).toEqual([host]);
  });
});

describe('the config', () => {
  it.each<[object, RegExp]>([
    [{ cleanup_interval: '0s' }, /^cleanup_interval: must be more than 0 s/],
    [
      { original_dst_lb_config: { http_header_name: 'x-a' } },
      /^original_dst_lb_config\.http_header_name: has no effect without use_http_header/,
    ],
    [
      { original_dst_lb_config: { use_http_header: true, http_header_name: 'x a' } },
      /^original_dst_lb_config\.http_header_name: "x a" is no header name/,
    ],
    [
      { original_dst_lb_config: { upstream_port_override: 65_536 } },
      /^original_dst_lb_config\.upstream_port_override: 65536 is no port/,
    ],
    [
      { original_dst_lb_config: { metadata_key: { key: 'where' } } },
      /^original_dst_lb_config\.metadata_key\.path: is empty/,
    ],
    [
      { original_dst_lb_config: { metadata_key: { path: [{ key: 'a' }] } } },
      /^original_dst_lb_config\.metadata_key\.key: is empty/,
    ],
  ])('%j is refused on main', (config, message) => {
    expect(() => originalDstCluster.create(cluster(config), {} as never)).toThrow(message);
  });

  it('finds nothing on main, so that the cluster is warm at once', () => {
    const updates: unknown[] = [];
    const discovery = originalDstCluster.create(cluster(), {} as never);
    discovery.start({ onHosts: (update) => updates.push(update), onFailure: () => {} });
    discovery.stop();
    expect(updates).toEqual([{ localities: [] }]);
  });
});
