import type { Explanation } from '@dragoman/server';
import { describe, expect, it, test } from 'vitest';
import { address, CLUSTERS, file, manager, run } from './explain-support.ts';

const direct = (text: string) =>
  `{ name: ${text}, virtual_hosts: [{ name: v, domains: ["*"], routes: [{ name: ${text}, match: { prefix: / }, direct_response: { status: 200, body: { inline_string: ${text} } } }] }] }`;

const named = (name: string) =>
  manager(direct(name)).replace('- filters:', `- name: ${name}\n        filters:`);

const choose = (name: string) =>
  `{ action: { name: a, typed_config: { "@type": type.googleapis.com/google.protobuf.StringValue, value: ${name} } } }`;

const ROUTES = `{
  name: features,
  validate_clusters: false,
  request_mirror_policies: [{ cluster: users }],
  virtual_hosts: [{
    name: v,
    domains: ["*"],
    retry_policy: { retry_on: 5xx, num_retries: 3 },
    rate_limits: [{ actions: [{ remote_address: {} }] }],
    routes: [
      { name: tunnel, match: { connect_matcher: {} }, route: { cluster: beta, upgrade_configs: [{ upgrade_type: CONNECT, connect_config: {} }] } },
      { name: shift, match: { prefix: /shift }, route: { weighted_clusters: { runtime_key_prefix: w, clusters: [{ name: beta, weight: 1 }, { name: users, weight: 0 }] } } },
      { name: twice, match: { prefix: /twice }, route: { weighted_clusters: { header_name: x-draw, clusters: [{ name: beta, weight: 1 }, { name: beta, weight: 3 }] } } },
      { name: cookie, match: { prefix: /cookie, cookies: [{ name: id, string_match: { exact: a } }] }, route: { cluster: beta } },
      { name: lost, match: { prefix: /lost }, route: { cluster: ghost, cluster_not_found_response_code: NOT_FOUND } },
      { name: old, match: { prefix: /old }, redirect: { path_redirect: /new } },
      { name: own, match: { prefix: /own }, response_headers_to_add: [{ header: { key: x-own, value: "1" } }], direct_response: { status: 200, body: { inline_string: fixed } } },
      { name: formatted, match: { prefix: /formatted }, direct_response: { status: 418, body_format: { json_format: { path: "%REQ(:PATH)%" } } } },
      { name: redirected, match: { prefix: /follow }, route: { cluster: beta, internal_redirect_policy: { max_internal_redirects: 2 }, hash_policy: [{ header: { header_name: x-user } }] } },
      { name: web-socket, match: { prefix: /socket }, route: { cluster: beta, upgrade_configs: [{ upgrade_type: websocket }] } }
    ]
  }]
}`.replaceAll('\n', ' ');

const REPLIES = `local_reply_config:
              mappers:
              - filter: { response_flag_filter: { flags: [NR] } }
                status_code: 410
                headers_to_add: [{ header: { key: x-mapped, value: "yes" } }]
                body: { inline_string: "nothing at %REQ(:PATH)%" }
              - { filter: { response_flag_filter: { flags: [NC] } }, body: { inline_string: "no such cluster" } }
              - { filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 403, runtime_key: k } } } }, status_code: 405 }
              body_format: { text_format_source: { inline_string: "%RESPONSE_CODE%: %LOCAL_REPLY_BODY%" } }`;

const CONFIG = file(
  'features.yaml',
  `
layered_runtime: { layers: [{ name: l, static_layer: { w: { beta: 1, users: 3 } } }] }
static_resources:
  listeners:
  - name: features
    address: ${address(8083)}
    filter_chains:${manager(ROUTES, REPLIES)}
  - name: ports
    address: ${address(8084)}
    filter_chain_matcher:
      matcher_tree:
        input: { name: port, typed_config: { "@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput } }
        exact_match_map: { map: { "8084": ${choose('second')} } }
    filter_chains:${named('first')}${named('second')}
  - name: closed
    address: ${address(8085)}
    filter_chain_matcher:
      on_no_match: ${choose('gone')}
    filter_chains:${named('only')}
  - name: sni
    address: ${address(8086)}
    filter_chains:${named('sni').replace('filters:', 'filter_chain_match: { server_names: [x] }\n        filters:')}
${CLUSTERS}
`,
);

async function explained(request: string, ...argv: string[]): Promise<Explanation> {
  const { out, err } = await run('-c', CONFIG, '--json', request, ...argv);
  expect(err).toBe('');
  return JSON.parse(out);
}

const WEB = 'http://x:8083';

test.each<[request: string, headers: string[], verdict: string]>([
  [
    `${WEB}/shift`,
    [],
    'goes to the cluster "beta" with this draw (25 % of the requests), by the route "shift"',
  ],
  [
    `${WEB}/twice`,
    ['x-draw: 3'],
    'goes to the cluster "beta" with this draw (75 % of the requests), by the route "twice"',
  ],
  [`${WEB}/lost`, [], '404, there is no cluster "ghost" (response flag NC), by the route "lost"'],
  [
    `${WEB}/socket`,
    ['upgrade: websocket', 'connection: upgrade'],
    'goes to the cluster "beta", by the route "web-socket"',
  ],
  [
    `${WEB}/follow`,
    ['upgrade: websocket', 'connection: upgrade'],
    'the connection manager answers 403 (upgrade_failed), which local_reply_config makes 405',
  ],
  [
    `${WEB}/nowhere`,
    [],
    '404, response flag NR, which local_reply_config makes 410: no route of the virtual host "v" matches; no route of the virtual host "v" is near',
  ],
  [`${WEB}/old?q`, [], '301 to http://x:8083/new?q, by the route "old"'],
  [`https://x:8083/old`, ['x-forwarded-proto: https'], '301 to http://x:8083/new, by the route "old"'],
  [`CONNECT far.example:443`, ['--listener-name'], 'goes to the cluster "beta", by the route "tunnel"'],
  [
    `CONNECT http://far.example:443`,
    ['--listener-name'],
    'goes to the cluster "beta", by the route "tunnel"',
  ],
  ['http://x:8084/', [], '200 with a body of 6 bytes, by the route "second"'],
  ['http://x:8085/', [], 'no filter chain fits: the connection is closed'],
  ['https://x:8086/', [], 'no filter chain fits: the connection is closed'],
])('%s with %j: %s', async (request, headers, verdict) => {
  const flags =
    headers[0] === '--listener-name'
      ? ['--listener-name', 'features']
      : headers.flatMap((header) => ['-H', header]);
  expect((await explained(request, ...flags)).verdict).toBe(verdict);
});

describe('what the client gets of the proxy itself', () => {
  it.each<[path: string, flags: string[], reply: object | undefined]>([
    ['/shift', [], undefined],
    [
      '/nowhere',
      [],
      {
        status: 410,
        mappedFrom: 404,
        body: '410: nothing at %REQ(:PATH)%',
        headers: expect.arrayContaining([{ name: 'x-mapped', after: 'yes' }]),
      },
    ],
    ['/lost', [], { status: 404, body: '404: no such cluster' }],
    [
      '/own',
      [],
      { status: 200, body: '200: fixed', headers: expect.arrayContaining([{ name: 'x-own', after: '1' }]) },
    ],
    ['/formatted', [], { status: 418, body: '418: {"path":"/formatted"}\n' }],
    [
      '/old',
      [],
      { status: 301, headers: expect.arrayContaining([{ name: 'location', after: 'http://x:8083/new' }]) },
    ],
    ['/nowhere', ['-H', 'content-type: application/grpc'], { status: 200, body: '' }],
  ])('%s %j', async (path, flags, reply) => {
    const { http } = await explained(`${WEB}${path}`, ...flags);
    if (reply === undefined) expect(http?.reply).toBeUndefined();
    else expect(http?.reply).toMatchObject(reply);
  });
});

test('settings come from the level that has them', async () => {
  const { http } = await explained(`${WEB}/follow`);
  expect(http?.settings.filter(({ from }) => from !== 'default')).toEqual([
    { name: 'retry_policy', value: { retry_on: '5xx', num_retries: 3 }, from: 'virtual host' },
    { name: 'rate_limits', value: [{ actions: [{ remote_address: {} }] }], from: 'virtual host' },
    { name: 'request_mirror_policies', value: [{ cluster: 'users' }], from: 'route configuration' },
    { name: 'internal_redirect_policy', value: { max_internal_redirects: 2 }, from: 'route' },
    { name: 'hash_policy', value: [{ header: { header_name: 'x-user' } }], from: 'route' },
  ]);
});

test('a cookie that does not hold is told with its value', async () => {
  const { http } = await explained(`${WEB}/cookie`, '-H', 'cookie: id=b');
  expect(http?.passed.find(({ name }) => name === 'cookie')?.why).toBe(
    'cookies[0] {"name":"id","string_match":{"exact":"a"}} does not hold: cookie id is "b"',
  );
});

test('chains that the tree does not come to are told, and what is not looked at', async () => {
  const tree = await explained('http://x:8084/');
  expect(tree.filterChainsPassed).toEqual([
    { path: 'filter_chains[0]', name: 'first', why: 'the filter_chain_matcher comes to another' },
  ]);
  expect((await explained('https://x:8086/')).notes).toEqual([
    'the listener has no tls_inspector: filter chains are chosen without looking at TLS',
  ]);
});

test('a CONNECT has no path, and says so', async () => {
  const { request, http } = await explained('CONNECT far.example:443', '--listener-name', 'features');
  expect(request).toMatchObject({ method: 'CONNECT', authority: 'far.example:443', path: '' });
  expect(http?.route?.name).toBe('tunnel');
});

test('nothing that a terminal would act on is printed, and text is text', async () => {
  const evil = '\u001b[31mred\u0007\u009b2J\u202e';
  const { out } = await run(
    '-c',
    CONFIG,
    `${WEB}/nowhere/é`,
    '-H',
    `x-evil: ${evil}`,
    '-H',
    'user-agent: a\tb',
  );
  expect(out).toContain('/nowhere/é from');
  const { out: sent } = await run('-c', CONFIG, `${WEB}/lost/${evil}`);
  expect(`${out}${sent}`.replaceAll('\n', '')).not.toMatch(/[\0-\x1f\x7f-\x9f\u202e]/);
  expect(sent).toContain('\\x1b[31mred\\x07\\x9b2J\\u202e');
});

test('the text has a line for a reply and its body', async () => {
  const { out } = await run('-c', CONFIG, `${WEB}/nowhere`);
  expect(out).toContain('the client gets 410 (local_reply_config makes it of 404)\n');
  expect(out).toContain('  with x-mapped: yes\n');
  expect(out).toContain('  body: 410: nothing at %REQ(:PATH)%\n');
});

test.each<[what: string, host: string, action: string, settings: [name: string, from: string][]]>([
  [
    'a retry policy of the route hides both of the virtual host',
    'retry_policy: { retry_on: 5xx }',
    'retry_policy: { retry_on: reset }',
    [['retry_policy', 'route']],
  ],
  [
    'rate limits of the route hide those of the virtual host',
    'rate_limits: [{ actions: [{ source_cluster: {} }] }]',
    'rate_limits: [{ actions: [{ remote_address: {} }] }]',
    [['rate_limits', 'route']],
  ],
  [
    'unless it includes them',
    'rate_limits: [{ actions: [{ source_cluster: {} }] }]',
    'include_vh_rate_limits: true, rate_limits: [{ actions: [{ remote_address: {} }] }]',
    [
      ['rate_limits', 'route'],
      ['rate_limits', 'virtual host'],
    ],
  ],
  [
    'the newer limit of a body hides the older one of the route',
    'request_body_buffer_limit: 10',
    'timeout: 1s',
    [['request_body_buffer_limit', 'virtual host']],
  ],
  [
    'an idle timeout hides that of the streams',
    'hedge_policy: {}',
    'idle_timeout: 1s',
    [
      ['idle_timeout', 'route'],
      ['hedge_policy', 'virtual host'],
    ],
  ],
  [
    'upgrades of both levels hold',
    'include_is_timeout_retry_header: true',
    'upgrade_configs: [{ upgrade_type: websocket }]',
    [
      ['upgrade_configs', 'route'],
      ['upgrade_configs', 'connection manager'],
      ['include_is_timeout_retry_header', 'virtual host'],
    ],
  ],
])('%s', async (what, host, action, settings) => {
  const routes = `{ virtual_hosts: [{ name: v, domains: ["*"], ${host}, routes: [{ match: { prefix: / }, route: { cluster: beta, ${action} } }] }] }`;
  const more = `stream_idle_timeout: 9s
            common_http_protocol_options: { max_stream_duration: 8s }
            ${what.startsWith('upgrades') ? 'upgrade_configs: [{ upgrade_type: foo }]' : ''}`;
  const config = file(
    'levels.yaml',
    `static_resources:\n  listeners:\n  - name: web\n    address: ${address(8087)}\n    filter_chains:${manager(routes, more)}\n${CLUSTERS}\n`,
  );
  const { out, err } = await run('-c', config, '--json', 'http://x:8087/');
  expect(err).toBe('');
  const { http }: Explanation = JSON.parse(out);
  const idle = ['stream_idle_timeout', 'connection manager'];
  expect(http?.settings.map(({ name, from }) => [name, from]).filter(([name]) => name !== 'timeout')).toEqual(
    [
      ...(action.startsWith('idle_timeout') ? settings.slice(0, 1) : [idle]),
      ['max_stream_duration', 'connection manager'],
      ...(action.startsWith('idle_timeout') ? settings.slice(1) : settings),
    ],
  );
});
