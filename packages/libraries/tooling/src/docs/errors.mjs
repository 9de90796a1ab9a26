/** Real errors for `docs/configuration-errors.md`: the README's config with one mistake each, loaded. */

const CASES = [
  { title: 'A field that does not exist', from: 'type: STRICT_DNS', to: 'conect_timeout: 1s' },
  { title: 'A bad duration', from: 'type: STRICT_DNS', to: 'connect_timeout: 250ms' },
  { title: 'A value of the wrong type', from: 'port_value: 8001', to: 'port_value: eight' },
  { title: 'An unknown enum value', from: 'type: STRICT_DNS', to: 'type: DNS_STRICT' },
  { title: 'Constraints of the API', from: 'stat_prefix: ingress_http', to: 'stat_prefix: ""' },
  { title: 'A number out of range', from: 'port_value: 10000', to: 'port_value: 70000' },
  { title: 'A route to a cluster that is not there', from: 'cluster: service }', to: 'cluster: sevice }' },
  {
    title: 'A regular expression that is not RE2',
    from: '{ prefix: / }',
    to: '{ safe_regex: { regex: "^/(?!admin)" } }',
  },
  { title: 'A misspelt type', from: 'router.v3.Router', to: 'router.v3.Ruter' },
  {
    title: 'An extension that this assembly does not have',
    from: 'http_filters:',
    to: 'http_filters:\n                  - name: envoy.filters.http.cors\n                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors }',
  },
  {
    title: 'A certificate that is not there',
    from: 'type: STRICT_DNS',
    to: `type: STRICT_DNS
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context: { validation_context: { trusted_ca: { filename: /etc/certs/missing.pem } } }`,
  },
  {
    title: 'A feature that is not built yet',
    from: 'type: STRICT_DNS',
    to: 'type: STRICT_DNS\n      track_timeout_budgets: true',
  },
  {
    title: 'Several at once',
    from: 'type: STRICT_DNS',
    to: 'type: STRICT_DNS\n      lb_polcy: ROUND_ROBIN\n      connect_timeout: soon',
  },
];

/** The first `yaml` block of a Markdown text. */
export function firstYaml(markdown) {
  const found = /^```yaml\n([\s\S]*?)^```/m.exec(markdown);
  if (found === null) throw new Error('there is no yaml block');
  return found[1];
}

/** @throws {Error} when a case changes nothing, or is no mistake any more */
export async function errorExamples(sources, config) {
  const examples = [];
  for (const { title, from, to } of CASES) {
    if (!config.includes(from)) throw new Error(`"${from}" is not in the config that errors are shown with`);
    const wrong = config.replace(from, to);
    const problems = await problemsOf(sources, wrong);
    if (problems.length === 0) throw new Error(`${title}: no error`);
    examples.push(
      `### ${title}\n\n\`\`\`yaml\n${changedLines(config, wrong)}\n\`\`\`\n\n\`\`\`\n${problems.join('\n')}\n\`\`\``,
    );
  }
  return examples.join('\n\n');
}

/** Lines that only the second text has, moved to the left together. */
export function changedLines(before, after) {
  const old = new Set(before.split('\n'));
  const lines = after.split('\n').filter((line) => !old.has(line));
  const indent = Math.min(...lines.map((line) => /^ */.exec(line)[0].length));
  return lines.map((line) => line.slice(indent)).join('\n');
}

async function problemsOf({ api, core, server, extensions }, text) {
  try {
    const bootstrap = api.loadConfig({ text, format: 'yaml', file: 'envoy.yaml' });
    await server.validateBootstrap({ bootstrap, extensions });
    return [];
  } catch (error) {
    if (!(error instanceof core.ConfigError)) throw error;
    return error.problems.map(core.formatProblem);
  }
}
