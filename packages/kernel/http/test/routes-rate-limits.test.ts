import { Address, type RateLimitDescriptor, type RateLimits, type StreamInfo } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { request, routeFor, streamInfo, tableOf, tableOfRoutes, testContext } from './routes-support.ts';

function limitsOf(routeYaml: string, context = testContext()) {
  const route = routeFor(
    tableOfRoutes(
      `[{ match: { prefix: / }, metadata: { filter_metadata: { ns: { a: { b: of-route } } } }, route: ${routeYaml} }]`,
      { context },
    ),
    request('/'),
  );
  if (route.action.kind !== 'forward') throw new Error(route.action.kind);
  return { route, limits: route.action.policies.rateLimits };
}

/** The descriptor of the only rule. */
function descriptorOf(
  rule: string,
  headers = request('/'),
  info: StreamInfo = streamInfo(),
): RateLimitDescriptor | undefined {
  const { route, limits } = limitsOf(`{ cluster: c, rate_limits: [${rule}] }`);
  return (limits as RateLimits).route[0]?.descriptor({ headers, info, route, localCluster: 'local' });
}

const entriesOf = (...parameters: Parameters<typeof descriptorOf>) =>
  descriptorOf(...parameters)?.entries.map(({ key, value }) => `${key}=${value}`);

describe('actions of rate limits', () => {
  const info = () => {
    const made = streamInfo();
    made.dynamicMetadata.set('ns', { a: { b: 'dynamic' }, number: 1, empty: '' });
    return made;
  };

  it.each([
    ['{ source_cluster: {} }', {}, ['source_cluster=local']],
    ['{ destination_cluster: {} }', {}, ['destination_cluster=c']],
    ['{ request_headers: { header_name: X-A, descriptor_key: k } }', { 'x-a': '1' }, ['k=1']],
    ['{ request_headers: { header_name: ":path", descriptor_key: k } }', {}, ['k=/']],
    ['{ request_headers: { header_name: x-a, descriptor_key: k } }', {}, undefined],
    ['{ request_headers: { header_name: x-a, descriptor_key: k, skip_if_absent: true } }', {}, []],
    [
      '{ query_parameters: { query_parameter_name: q, descriptor_key: k } }',
      { ':path': '/?p=0&q=a%3Ab&q=2' },
      ['k=a:b'],
    ],
    [
      '{ query_parameters: { query_parameter_name: "a b", descriptor_key: k } }',
      { ':path': '/?a%20b=1' },
      undefined,
    ],
    [
      '{ query_parameters: { query_parameter_name: "a:b", descriptor_key: k } }',
      { ':path': '/?a%3ab=%%%20%7a' },
      ['k=%20z'],
    ],
    ['{ query_parameters: { query_parameter_name: q, descriptor_key: k } }', { ':path': '/?q' }, ['k=']],
    ['{ query_parameters: { query_parameter_name: q, descriptor_key: k } }', {}, undefined],
    ['{ query_parameters: { query_parameter_name: q, descriptor_key: k, skip_if_absent: true } }', {}, []],
    ['{ remote_address: {} }', {}, ['remote_address=203.0.113.7']],
    ['{ masked_remote_address: {} }', {}, ['masked_remote_address=203.0.113.7/32']],
    ['{ masked_remote_address: { v4_prefix_mask_len: 20 } }', {}, ['masked_remote_address=203.0.112.0/20']],
    ['{ masked_remote_address: { v4_prefix_mask_len: 0 } }', {}, ['masked_remote_address=0.0.0.0/0']],
    ['{ generic_key: { descriptor_value: v } }', {}, ['generic_key=v']],
    ['{ generic_key: { descriptor_value: v, descriptor_key: k } }', {}, ['k=v']],
    [
      '{ header_value_match: { descriptor_value: v, headers: [{ name: x-a }, { name: x-b }] } }',
      { 'x-a': '1', 'x-b': '2' },
      ['header_match=v'],
    ],
    [
      '{ header_value_match: { descriptor_value: v, headers: [{ name: x-a }, { name: x-b }] } }',
      { 'x-a': '1' },
      undefined,
    ],
    [
      '{ header_value_match: { descriptor_value: v, descriptor_key: k, expect_match: false, headers: [{ name: x-a }] } }',
      {},
      ['k=v'],
    ],
    [
      '{ header_value_match: { descriptor_value: v, expect_match: false, headers: [{ name: x-a }] } }',
      { 'x-a': '1' },
      undefined,
    ],
    [
      '{ query_parameter_value_match: { descriptor_value: v, query_parameters: [{ name: q, string_match: { exact: "a:" } }] } }',
      { ':path': '/?q=a%3A' },
      ['query_match=v'],
    ],
    [
      '{ query_parameter_value_match: { descriptor_value: v, query_parameters: [{ name: q }, { name: r }] } }',
      { ':path': '/?q' },
      undefined,
    ],
    [
      '{ query_parameter_value_match: { descriptor_value: v, descriptor_key: k, expect_match: false, query_parameters: [{ name: q }] } }',
      {},
      ['k=v'],
    ],
    [
      '{ metadata: { descriptor_key: k, metadata_key: { key: ns, path: [{ key: a }, { key: b }] } } }',
      {},
      ['k=dynamic'],
    ],
    [
      '{ metadata: { descriptor_key: k, source: ROUTE_ENTRY, metadata_key: { key: ns, path: [{ key: a }, { key: b }] } } }',
      {},
      ['k=of-route'],
    ],
    [
      '{ dynamic_metadata: { descriptor_key: k, metadata_key: { key: ns, path: [{ key: a }, { key: b }] } } }',
      {},
      ['k=dynamic'],
    ],
    [
      '{ metadata: { descriptor_key: k, metadata_key: { key: ns, path: [{ key: number }] } } }',
      {},
      undefined,
    ],
    [
      '{ metadata: { descriptor_key: k, metadata_key: { key: ns, path: [{ key: empty }] }, default_value: d } }',
      {},
      ['k=d'],
    ],
    [
      '{ metadata: { descriptor_key: k, metadata_key: { key: other, path: [{ key: x }] }, skip_if_absent: true } }',
      {},
      [],
    ],
    [
      '{ dynamic_metadata: { descriptor_key: k, metadata_key: { key: other, path: [{ key: x }] } } }',
      {},
      undefined,
    ],
  ])('%s with %j: %j', (action, fields, entries) => {
    const headers = request('/', fields as Record<string, string>);
    expect(entriesOf(`{ actions: [${action}] }`, headers, info())).toEqual(entries);
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', '{ v6_prefix_mask_len: 64 }', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:3:4:5:6', '{ v6_prefix_mask_len: 33 }', '2001:db8::/33'],
    ['2001:db8:ffff::', '{ v6_prefix_mask_len: 36 }', '2001:db8:f000::/36'],
    ['2001:db8::1', '{ v4_prefix_mask_len: 8 }', '2001:db8::1/128'],
    ['::1', '{ v6_prefix_mask_len: 0 }', '::/0'],
  ])('the network of %s by %s is %s', (ip, mask, network) => {
    const made = streamInfo();
    made.remoteAddress = Address.ip(ip, 1);
    expect(entriesOf(`{ actions: [{ masked_remote_address: ${mask} }] }`, request('/'), made)).toEqual([
      `masked_remote_address=${network}`,
    ]);
  });

  it.each(['remote_address', 'masked_remote_address'])('%s does not apply to a Unix socket', (action) => {
    const made = streamInfo();
    made.remoteAddress = Address.pipe('/run/x.sock');
    expect(entriesOf(`{ actions: [{ ${action}: {} }] }`, request('/'), made)).toBeUndefined();
  });

  it('make entries in their order; one that does not apply drops the descriptor', () => {
    const rule = `{ actions: [{ generic_key: { descriptor_value: a } }, { request_headers: { header_name: x, descriptor_key: x } }, { remote_address: {} }] }`;
    expect(entriesOf(rule, request('/', { x: '1' }))).toEqual([
      'generic_key=a',
      'x=1',
      'remote_address=203.0.113.7',
    ]);
    expect(entriesOf(rule)).toBeUndefined();
  });
});

describe('what else a rate limit says', () => {
  const rule = (more: string) => `{ actions: [{ generic_key: { descriptor_value: v } }], ${more} }`;

  it('has defaults', () => {
    const { limits } = limitsOf(`{ cluster: c, rate_limits: [${rule('')}] }`);
    expect(limits?.route[0]).toMatchObject({ stage: 0, disableKey: '', applyOnStreamDone: false });
    expect(descriptorOf(rule(''))).toMatchObject({ limit: undefined, hitsAddend: undefined });
  });

  it('reads what is set', () => {
    const { limits } = limitsOf(
      `{ cluster: c, rate_limits: [${rule('stage: 10, disable_key: off, apply_on_stream_done: true')}] }`,
    );
    expect(limits?.route[0]).toMatchObject({ stage: 10, disableKey: 'off', applyOnStreamDone: true });
  });

  it.each([
    ['{ requests_per_unit: 42, unit: HOUR }', { requestsPerUnit: 42, unit: 'HOUR' }],
    ['{ requests_per_unit: 1.9, unit: SECOND }', { requestsPerUnit: 1, unit: 'SECOND' }],
    ['{ requests_per_unit: "42", unit: HOUR }', undefined],
    ['{ requests_per_unit: 42, unit: FORTNIGHT }', undefined],
    ['{ requests_per_unit: 42 }', undefined],
    ['[]', undefined],
    ['null', undefined],
  ])('the limit %s of dynamic metadata counts as %j', async (value, limit) => {
    const { parse } = await import('yaml');
    const info = streamInfo();
    info.dynamicMetadata.set('ns', { limit: parse(value) });
    const made = descriptorOf(
      rule('limit: { dynamic_metadata: { metadata_key: { key: ns, path: [{ key: limit }] } } }'),
      request('/'),
      info,
    );
    expect(made?.limit).toEqual(limit);
    expect(made?.entries).toHaveLength(1);
  });

  it.each([
    ['{ number: 3 }', {}, 3],
    ['{ number: 0 }', {}, 0],
    ['{ format: "%REQ(x-hits)%" }', { 'x-hits': '7' }, 7],
    ['{ format: "%REQ(x-hits)%" }', { 'x-hits': '2.9' }, 2],
    ['{ format: "%REQ(x-hits)%" }', { 'x-hits': '1000000001' }, 'dropped'],
    ['{ format: "%REQ(x-hits)%" }', { 'x-hits': '-1' }, 'dropped'],
    ['{ format: "%REQ(x-hits)%" }', { 'x-hits': 'many' }, 'dropped'],
    ['{ format: "%REQ(x-hits)%" }', {}, 'dropped'],
  ])('hits_addend %s with %j is %j', (hits, fields, expected) => {
    const made = descriptorOf(rule(`hits_addend: ${hits}`), request('/', fields as Record<string, string>));
    expect(made === undefined ? 'dropped' : made.hitsAddend).toBe(expected);
  });

  it.each([
    ['{ actions: [] }', 'rate_limits[0].actions: needs one action'],
    ['{ actions: [{}] }', 'rate_limits[0].actions[0]: needs one of source_cluster'],
    [rule('stage: 11'), 'rate_limits[0].stage: must be at most 10'],
    [rule('limit: {}'), 'rate_limits[0].limit: needs dynamic_metadata'],
    [
      rule('limit: { dynamic_metadata: {} }'),
      'rate_limits[0].limit.dynamic_metadata.metadata_key.key: is required',
    ],
    [rule('hits_addend: {}'), 'rate_limits[0].hits_addend: needs either a number or a format'],
    [rule('hits_addend: { number: 1, format: "%PROTOCOL%" }'), 'rate_limits[0].hits_addend: needs either'],
    [rule('hits_addend: { number: 1000000001 }'), 'rate_limits[0].hits_addend.number: must be at most'],
    [
      rule('hits_addend: { format: "%PROTOCOL%%PROTOCOL%" }'),
      'rate_limits[0].hits_addend.format: must be exactly one',
    ],
    [
      '{ actions: [{ extension: { name: expr } }] }',
      'rate_limits[0].actions[0].extension: the descriptor extension "expr"',
    ],
    [
      '{ actions: [{ metadata: { descriptor_key: k } }] }',
      'actions[0].metadata.metadata_key.key: is required',
    ],
    [
      '{ actions: [{ header_value_match: { descriptor_value: v, headers: [{ name: "" }] } }] }',
      'actions[0].header_value_match.headers',
    ],
    [
      '{ actions: [{ query_parameter_value_match: { descriptor_value: v, query_parameters: [{}] } }] }',
      'actions[0].query_parameter_value_match.query_parameters[0].name',
    ],
  ])('%s is refused', (config, message) => {
    expect(() => limitsOf(`{ cluster: c, rate_limits: [${config}] }`)).toThrow(message);
  });
});

describe('rate limits of the levels', () => {
  const rule = (value: string) =>
    `rate_limits: [{ actions: [{ generic_key: { descriptor_value: ${value} } }] }]`;
  const of = (host: string, route: string) => {
    const table = tableOf(
      `virtual_hosts: [{ name: a, domains: ["*"], ${host}routes: [{ match: { prefix: / }, route: { cluster: c${route} } }, { match: { prefix: / }, route: { cluster: c } }] }]`,
    );
    const { action } = routeFor(table, request('/'));
    return action.kind === 'forward' ? action.policies.rateLimits : undefined;
  };

  it.each([
    ['none', '', '', undefined],
    ['the route', '', `, ${rule('r')}`, [1, 0, false]],
    ['the virtual host', `${rule('v')}, `, '', [0, 1, false]],
    ['both', `${rule('v')}, `, `, ${rule('r')}`, [1, 1, false]],
    [
      'both, with include_vh_rate_limits',
      `${rule('v')}, `,
      `, include_vh_rate_limits: true, ${rule('r')}`,
      [1, 1, true],
    ],
  ])('%s', (_name, host, route, expected) => {
    const limits = of(host, route);
    expect(limits && [limits.route.length, limits.virtualHost.length, limits.includeVirtualHost]).toEqual(
      expected,
    );
  });

  it('are told of, since no filter reads them', () => {
    const warnings: string[] = [];
    const context = testContext({ warn: (path, message) => warnings.push(`${path} ${message}`) });
    limitsOf('{ cluster: c }', context);
    expect(warnings).toEqual([]);
    limitsOf(`{ cluster: c, ${rule('r')} }`, context);
    expect(warnings).toEqual([
      'rate_limits are kept for filters that limit by them; this proxy has no such filter yet',
    ]);
  });
});
