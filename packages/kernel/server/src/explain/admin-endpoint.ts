import { type Endpoint, json, type Query, text } from '@dragoman/admin';
import { ConfigError, formatProblem } from '@dragoman/core';
import type { ExplainedManagers } from '@dragoman/http';
import type { Assembly } from '../assemble.ts';
import { runningHosts } from './cluster-hosts.ts';
import { explain, type ExplainedListener, ExplainUsageError, type ExplainOptions } from './index.ts';
import { readHeader, readRandom } from './request-line.ts';
import { explanationText } from './text.ts';

/** What `/explain` asks of the running proxy, anew for each request. */
export interface ExplainedProxy {
  listeners(): readonly ExplainedListener[];
  options(): Promise<ExplainOptions>;
}

/** A proxy's parts as `/explain` sees them. */
export function explainedProxy({
  listeners,
  clusters,
  workers,
  context,
}: Pick<Assembly, 'listeners' | 'clusters' | 'workers' | 'context'>): ExplainedProxy {
  let managers: ExplainedManagers | undefined;
  return {
    listeners: () =>
      listeners.listeners.map(({ name, path, message, addresses }) => ({ name, path, message, addresses })),
    async options() {
      const messages = clusters.clusters.map(({ message }) => message);
      const clusterHosts = runningHosts(messages, await workers.clusterReports());
      managers ??= new (await import('@dragoman/http')).ExplainedManagers();
      return { context, clusterHosts, managers };
    },
  };
}

/** `/explain`: what `dragoman explain` says, of the configuration that runs. */
export function explainEndpoint(proxy: ExplainedProxy): Endpoint {
  return {
    path: '/explain',
    help: 'explain where a request would go, and why',
    parameters: [
      { name: 'request', help: 'a method and a URL: GET https://example.com/path' },
      { name: 'headers', help: 'lines of name: value' },
      { name: 'from', help: "the client's address; default 127.0.0.1" },
      { name: 'sni', help: 'the server name of TLS; default the host of an https URL' },
      { name: 'listener', help: 'a listener, by name; default the one at the port of the URL' },
      { name: 'random', help: 'what weights and fractions are drawn with; default 0' },
      { name: 'format', help: 'default text', choices: ['text', 'json'] },
    ],
    async handle(_state, query) {
      try {
        const explanation = await explain(proxy.listeners(), readQuery(query), await proxy.options());
        return query.get('format') === 'json' ? json(explanation) : text(explanationText(explanation));
      } catch (error) {
        if (error instanceof ExplainUsageError) return text(`${error.message}\n`, 400);
        if (error instanceof ConfigError)
          return text(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''), 500);
        throw error;
      }
    },
  };
}

function readQuery(query: Query) {
  const request = query.get('request');
  if (request === undefined)
    throw new ExplainUsageError('usage: /explain?request=GET%20https://example.com/path');
  const headers = (query.get('headers') ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(readHeader);
  const [from, serverName, listener] = [query.get('from'), query.get('sni'), query.get('listener')];
  return {
    request,
    headers,
    ...(from === undefined ? {} : { from }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(listener === undefined ? {} : { listener }),
    random: readRandom(query.get('random') ?? '0'),
  };
}
