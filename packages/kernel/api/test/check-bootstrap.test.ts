import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/index.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const bootstrap = (routes: string, extra = '') => `
static_resources:
  listeners:
  - name: l
    address: {pipe: {path: /x}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/${HCM}
          stat_prefix: s
          route_config:
            ${extra}
            virtual_hosts:
            - name: v
              domains: ["*"]
              routes:
              - match: {prefix: /}
                ${routes}
  clusters:
  - name: backend
  - name: other
`;
/** The same with the routes in an inline scope. */
const scoped = (routes: string) => `
static_resources:
  listeners:
  - name: l
    address: {pipe: {path: /x}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/${HCM}
          stat_prefix: s
          scoped_routes:
            name: scopes
            scope_key_builder: {fragments: [{header_value_extractor: {name: x, index: 0}}]}
            scoped_route_configurations_list:
              scoped_route_configurations:
              - name: one
                key: {fragments: [{string_key: a}]}
                route_configuration:
                  virtual_hosts:
                  - name: v
                    domains: ["*"]
                    routes:
                    - match: {prefix: /}
                      ${routes}
  clusters:
  - name: other
`;
const problems = (text: string, checkRegex?: (pattern: string) => void) => {
  try {
    loadConfig({ text, file: 'x.yaml' }, { checkRegex });
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
};
const at =
  'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]';

const scopedAt = at.replace(
  'route_config',
  'scoped_routes.scoped_route_configurations_list.scoped_route_configurations[0].route_configuration',
);

describe('a bootstrap as a whole', () => {
  it.each<[what: string, text: string, expected: string[]]>([
    ['a cluster that is there', bootstrap('route: {cluster: backend}'), []],
    [
      'a cluster that is not',
      bootstrap('route: {cluster: bakend}'),
      [`x.yaml:19:34: ${at}.route.cluster: unknown cluster "bakend"; did you mean "backend"?`],
    ],
    ['a cluster by header', bootstrap('route: {cluster_header: x}'), []],
    [
      'weighted clusters',
      bootstrap(
        'route: {weighted_clusters: {clusters: [{name: other, weight: 1}, {name: nope, weight: 1}]}}',
      ),
      [`x.yaml:19:89: ${at}.route.weighted_clusters.clusters[1].name: unknown cluster "nope"`],
    ],
    [
      'a mirror',
      bootstrap('route: {cluster: other, request_mirror_policies: [{cluster: nope}]}'),
      [`x.yaml:19:77: ${at}.route.request_mirror_policies[0].cluster: unknown cluster "nope"`],
    ],
    [
      'a mirror of the virtual host',
      bootstrap('route: {cluster: other}\n              request_mirror_policies: [{cluster: nope}]'),
      [
        `x.yaml:20:51: ${at.replace('.routes[0]', '')}.request_mirror_policies[0].cluster: unknown cluster "nope"`,
      ],
    ],
    [
      'a mirror of the table',
      bootstrap('route: {cluster: other}', 'request_mirror_policies: [{cluster: otter}]'),
      [
        `x.yaml:13:49: ${at.replace('.virtual_hosts[0].routes[0]', '')}.request_mirror_policies[0].cluster: unknown cluster "otter"; did you mean "other"?`,
      ],
    ],
    ['validate_clusters: false', bootstrap('route: {cluster: nope}', 'validate_clusters: false'), []],
    [
      'validate_clusters: true',
      bootstrap('route: {cluster: nope}', 'validate_clusters: true'),
      [`x.yaml:19:34: ${at}.route.cluster: unknown cluster "nope"`],
    ],
    [
      'an inline scope',
      scoped('route: {cluster: nope}'),
      [`x.yaml:25:40: ${scopedAt}.route.cluster: unknown cluster "nope"`],
    ],
    ['an inline scope with clusters that are there', scoped('route: {cluster: other}'), []],
    ['a redirect', bootstrap('redirect: {}'), []],
    [
      'two clusters of a name',
      'static_resources: {clusters: [{name: a}, {name: b}, {name: a}]}',
      [
        'x.yaml:1:60: static_resources.clusters[2].name: a cluster named "a" is already defined at static_resources.clusters[0]',
      ],
    ],
    [
      'two listeners of a name',
      'static_resources: {listeners: [{name: a, address: {pipe: {path: /a}}}, {name: a, address: {pipe: {path: /b}}}]}',
      [
        'x.yaml:1:79: static_resources.listeners[1].name: a listener named "a" is already defined at static_resources.listeners[0]',
      ],
    ],
    [
      'listeners without names',
      'static_resources: {listeners: [{address: {pipe: {path: /a}}}, {address: {pipe: {path: /b}}}]}',
      [],
    ],
  ])('%s', (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  it('has its regular expressions checked, wherever they stand', () => {
    const seen: string[] = [];
    const text = bootstrap('route: {cluster: other}').replace(
      '{prefix: /}',
      '{safe_regex: {regex: "a("}, headers: [{name: x, string_match: {safe_regex: {regex: "b+"}}}]}',
    );
    const check = (pattern: string) => {
      seen.push(pattern);
      if (pattern === 'a(') throw new Error('missing )');
    };
    expect(problems(text, check)).toEqual([
      `x.yaml:18:45: ${at}.match.safe_regex.regex: not a valid regular expression: missing )`,
    ]);
    expect(seen).toEqual(['a(', 'b+']);
  });

  it('takes RE2 syntax by default, and only that', () => {
    const text = (pattern: string) =>
      bootstrap('route: {cluster: other}').replace(
        '{prefix: /}',
        () => `{safe_regex: {regex: '${pattern}'}}`,
      );
    expect(problems(text('^/(?P<id>[0-9]+)$'))).toEqual([]);
    expect(problems(text('(?=a)b'))).toEqual([
      expect.stringMatching(/^x\.yaml:18:\d+: .*safe_regex\.regex: not a valid regular expression: /),
    ]);
  });
});
