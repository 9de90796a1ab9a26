import { CaresDnsResolverConfigSchema, readLoose } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { readCaresConfig } from '../src/cares.ts';
import { parseHosts } from '../src/hosts-file.ts';
import { parseResolvConf } from '../src/resolv-conf.ts';

const read = (json: object) => readCaresConfig(readLoose(CaresDnsResolverConfigSchema, json));
const server = (address: string, port?: number) => ({
  socket_address: { address, ...(port === undefined ? {} : { port_value: port }) },
});

describe('CaresDnsResolverConfig', () => {
  it('names servers with their ports, 53 when none is given', () => {
    expect(
      read({
        resolvers: [server('10.0.0.1', 5353), server('::1')],
        use_resolvers_as_fallback: true,
        filter_unroutable_families: true,
        dns_resolver_options: { no_default_search_domain: true },
      }),
    ).toEqual({
      servers: ['10.0.0.1:5353', '[::1]:53'],
      serversAsFallback: true,
      useSearchList: false,
      filterUnroutable: true,
    });
  });

  it.each<[object, string]>([
    [
      { dns_resolver_options: { use_tcp_for_dns_lookups: true } },
      'dns_resolver_options.use_tcp_for_dns_lookups: DNS over TCP alone',
    ],
    [{ udp_max_queries: 5 }, 'udp_max_queries: udp_max_queries cannot be set'],
    [{ resolvers: [{ pipe: { path: '/x' } }] }, 'resolvers[0]: must be a socket_address'],
    [{ resolvers: [server('dns.example', 53)] }, 'resolvers[0].socket_address.address: "dns.example" is not'],
  ])('refuses %j', (json, message) => {
    expect(() => read(json)).toThrow(message);
  });
});

describe('parseResolvConf', () => {
  it('reads servers, search list and options', () => {
    const conf = parseResolvConf(
      '# comment\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver ::1 ; second\nsearch .a.example. b.example\noptions ndots:5 timeout:9 attempts:99 rotate\n',
    );
    expect(conf).toEqual({
      nameservers: ['10.0.0.1', '::1'],
      search: ['a.example', 'b.example'],
      ndots: 5,
      timeoutS: 9,
      attempts: 5,
    });
  });

  it('has defaults, takes the last of domain and search, and bounds what a file can ask for', () => {
    expect(parseResolvConf('')).toEqual({
      nameservers: [],
      search: [],
      ndots: 1,
      timeoutS: undefined,
      attempts: undefined,
    });
    expect(parseResolvConf('search a b\ndomain c d').search).toEqual(['c']);
    expect(parseResolvConf('search a b c d e f g h').search).toHaveLength(6);
    expect(parseResolvConf('options ndots:x').ndots).toBe(1);
    expect(parseResolvConf('nameserver\nnameserver x').nameservers).toEqual([]);
  });
});

it('parseHosts passes over what is not an address', () => {
  expect([...parseHosts('10.0.0.1 a b a\n::1 a\nfe80::1%lo0 c\n# 10.0.0.2 d\nx y\n\n')]).toEqual([
    ['a', ['10.0.0.1', '::1']],
    ['b', ['10.0.0.1']],
  ]);
});
