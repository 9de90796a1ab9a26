import { httpBootstrap, HttpUpstream, type JsonObject, reply, startProxy } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { extensions } from '../src/index.ts';

const TYPE = 'type.googleapis.com';
const TEMPLATE = `
  match:
    path_match_policy:
      name: envoy.path.match.uri_template.uri_template_matcher
      typed_config:
        "@type": ${TYPE}/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig
        path_template: /api/{version}/videos/{id=**}
  route:
    cluster: web
    path_rewrite_policy:
      name: envoy.path.rewrite.uri_template.uri_template_rewriter
      typed_config:
        "@type": ${TYPE}/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig
        path_template_rewrite: /{version}/{id}
`;
const route = (yaml: string): JsonObject => parse(yaml);
const answer = (body: string, match = '{ prefix: / }'): string =>
  `match: ${match}, direct_response: { status: 200, body: { inline_string: "${body}" } }`;
const on = (body: string): string =>
  `{ action: { name: r, typed_config: { "@type": ${TYPE}/envoy.config.route.v3.Route, ${answer(body)} } } }`;
const input = (type: string, more = ''): string =>
  `{ name: i, typed_config: { "@type": ${TYPE}/${type}${more} } }`;
const header = (name: string) =>
  input('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', `, header_name: ${name}`);
const custom = (name: string, type: string, more: string): string =>
  `{ name: ${name}, typed_config: { "@type": ${TYPE}/${type}, ${more} } }`;

/** A proxy whose one virtual host has this, besides its name and domains. */
async function start(host: JsonObject, upstream = 9): Promise<Awaited<ReturnType<typeof startProxy>>> {
  const bootstrap = httpBootstrap({
    clusters: { web: upstream },
    virtualHosts: [{ name: 'h', domains: ['*'], ...host }],
  });
  return startProxy(bootstrap, { extensions });
}

test('a path is matched and rewritten by a template', async () => {
  await using upstream = await HttpUpstream.start(reply({ body: 'ok' }));
  await using proxy = await start({ routes: [route(TEMPLATE)] }, upstream.port);
  expect((await proxy.get('/api/v2/videos/a/b.m4s?q=1')).status).toBe(200);
  expect(upstream.requests[0]?.path).toBe('/v2/a/b.m4s?q=1');
  expect((await proxy.get('/api/v2/audio/a')).status).toBe(404);
});

describe('a tree of matchers', () => {
  const tree = `
    matcher_list:
      matchers:
      - predicate:
          and_matcher:
            predicate:
            - single_predicate: { input: ${header('x-ip')}, custom_match: ${custom('ip', 'envoy.extensions.matching.input_matchers.ip.v3.Ip', 'stat_prefix: ips, cidr_ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }]')} }
            - not_matcher: { single_predicate: { input: ${header('x-not')}, value_match: { exact: "1" } } }
        on_match: ${on('inside')}
      - predicate: { single_predicate: { input: ${header('x-share')}, custom_match: ${custom('s', 'envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction', 'runtime_fraction: { default_value: { numerator: 100 } }')} } }
        on_match: ${on('share')}
      - predicate: { single_predicate: { input: ${header('x-hash')}, custom_match: ${custom('c', 'envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing', 'modulo: 1')} } }
        on_match: ${on('hash')}
      - predicate: { single_predicate: { input: ${header('x-name')}, value_match: { prefix: a } } }
        on_match:
          matcher:
            matcher_tree:
              input: ${header('x-name')}
              custom_match: ${custom('n', 'xds.type.matcher.v3.ServerNameMatcher', `domain_matchers: [{ domains: ["*.com"], on_match: ${on('name')} }]`)}
    on_no_match: ${on('none')}
  `;
  test.each<[headers: Record<string, string>, body: string]>([
    [{ 'x-ip': '10.1.2.3' }, 'inside'],
    [{ 'x-ip': '10.1.2.3', 'x-not': '1' }, 'none'],
    [{ 'x-ip': 'nobody' }, 'none'],
    [{ 'x-share': 'a' }, 'share'],
    [{ 'x-hash': 'a' }, 'hash'],
    [{ 'x-name': 'a.com' }, 'name'],
    [{ 'x-name': 'a.org' }, 'none'],
    [{}, 'none'],
  ])('%j → %s', async (headers, body) => {
    await using proxy = await start({ matcher: route(tree) });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    expect((await proxy.get('/', ...lines)).body.toString()).toBe(body);
    expect(proxy.stat('ips.ip_parsing_failed')).toBe(headers['x-ip'] === 'nobody' ? 1 : 0);
  });

  test('is refused where an input may not stand', async () => {
    const by = input('envoy.extensions.matching.common_inputs.network.v3.SourceIPInput');
    const matcher = route(`{ matcher_tree: { input: ${by}, exact_match_map: { map: { a: ${on('a')} } } } }`);
    await expect(start({ matcher })).rejects.toThrow(
      /matcher\.matcher_tree\.input\.typed_config: a route table can match on request headers and filter state only/,
    );
  });
});
