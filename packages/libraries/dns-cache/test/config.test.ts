import { describe, expect, it } from 'vitest';
import { readDnsCache } from '../src/index.ts';
import { AskedDns, config, contextWith } from './support.ts';

const read = (fields: object) => readDnsCache(config(fields), contextWith(new AskedDns()));

it('has the defaults of Envoy', () => {
  expect(read({})).toMatchObject({
    family: 'AUTO',
    refreshMs: 60_000,
    minRefreshMs: 5_000,
    hostTtlMs: 300_000,
    maxHosts: 1_024,
    failure: undefined,
    maxPendingRequests: 1_024,
    preresolve: [],
    queryTimeoutMs: 5_000,
  });
});

describe('what is refused', () => {
  it.each<[object, RegExp]>([
    [{ name: '' }, /^name: is empty/],
    [{ dns_refresh_rate: '0s' }, /^dns_refresh_rate: must be at least 1 ms/],
    [{ dns_min_refresh_rate: '0.5s' }, /^dns_min_refresh_rate: must be at least 1 s/],
    [{ host_ttl: '0s' }, /^host_ttl: must be more than 0 s/],
    [{ dns_query_timeout: '-1s' }, /^dns_query_timeout: must not be negative/],
    [{ max_hosts: 0 }, /^max_hosts: must be more than 0/],
    [{ dns_failure_refresh_rate: {} }, /^dns_failure_refresh_rate\.base_interval: is missing/],
    [
      { max_hosts: 1, preresolve_hostnames: ['a', 'b'].map((address) => ({ address, port_value: 80 })) },
      /^preresolve_hostnames: are 2, more than max_hosts \(1\)/,
    ],
    [
      { preresolve_hostnames: [{ address: 'a', named_port: 'http' }] },
      /^preresolve_hostnames\[0\]\.named_port/,
    ],
    [{ preresolve_hostnames: [{ address: 'a' }] }, /^preresolve_hostnames\[0\]\.port_value: is missing/],
    [{ key_value_config: {} }, /^key_value_config: what is resolved is kept in memory alone/],
    [{ use_tcp_for_dns_lookups: true }, /^use_tcp_for_dns_lookups: DNS over TCP alone/],
    [
      { typed_dns_resolver_config: { name: 'nobody' } },
      /^typed_dns_resolver_config: unknown extension "nobody"/,
    ],
  ])('%j', (fields, message) => {
    expect(() => read(fields)).toThrow(message);
  });
});
