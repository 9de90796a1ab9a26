import { type AdminResponse, type Endpoint, json, type Query, text } from '@dragoman/admin';
import { type LoadedConfig, locate, type Message } from '@dragoman/api';
import { ConfigError, type ConfigProblem, formatProblem, joinPath } from '@dragoman/core';
import { type CheckedProxy, type CheckedResource, checkResource } from './check-update.ts';
import { readUpdate, type ReadUpdate } from './read-update.ts';

/** A response with many resources; a control plane may send 64 MiB. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** `/validate_update`: whether an update would be taken over. Nothing is changed. Not in Envoy. */
export function validateUpdateEndpoint(proxy: CheckedProxy & { readonly flags: UnknownFields }): Endpoint {
  return {
    path: '/validate_update',
    help: 'check a resource, or a DiscoveryResponse, in the body as an update would; nothing is changed',
    mutates: true,
    maxBodyBytes: MAX_BODY_BYTES,
    parameters: [
      { name: 'type', help: 'What it is, such as RouteConfiguration; default: what its "@type" says' },
      { name: 'name', help: 'By which name it is asked for; default: its own' },
      { name: 'file', help: 'What errors call it' },
      { name: 'format', help: 'default text', choices: ['text', 'json'] },
    ],
    async handle(_state, query, request) {
      const checked = await check(request.body ?? '', query, proxy);
      return query.get('format') === 'json' ? asJson(checked) : asText(checked);
    },
  };
}

interface UnknownFields {
  readonly unknownDynamicFields: 'warn' | 'reject' | 'ignore';
}

interface Checked {
  readonly resources: readonly CheckedResource[];
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

async function check(
  body: string,
  query: Query,
  proxy: CheckedProxy & { readonly flags: UnknownFields },
): Promise<Checked> {
  let update: ReadUpdate;
  try {
    update = readUpdate({
      text: body,
      file: query.get('file'),
      type: query.get('type'),
      name: query.get('name'),
      allowUnknownFields: proxy.flags.unknownDynamicFields !== 'reject',
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const file = query.get('file');
    const problems = error.problems.map((problem) => (file === undefined ? problem : { file, ...problem }));
    return { resources: [], problems, warnings: [] };
  }
  const { loaded } = update;
  const resources: CheckedResource[] = [];
  const problems: ConfigProblem[] = [];
  for (const resource of update.resources) {
    try {
      resources.push(await checkResource(resource, proxy));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) problems.push(placed(problem, resource.path, loaded));
    }
  }
  return { resources, problems, warnings: loaded.warnings };
}

function placed(problem: ConfigProblem, path: string, loaded: LoadedConfig<Message>): ConfigProblem {
  return locate(loaded, { ...problem, path: joinPath(path, problem.path) });
}

function asText({ resources, problems, warnings }: Checked): AdminResponse {
  const lines = [
    ...problems.map(formatProblem),
    ...warnings.map((problem) => `warning: ${formatProblem(problem)}`),
    ...resources.map(
      ({ type, name, state, note }) =>
        `ok: ${type} "${name}": ${state}${note === undefined ? '' : `; ${note}`}`,
    ),
  ];
  return text(
    `${lines.length === 0 ? 'ok: there is nothing in it' : lines.join('\n')}\n`,
    problems.length > 0 ? 400 : 200,
  );
}

function asJson({ resources, problems, warnings }: Checked): AdminResponse {
  const answer = json({ ok: problems.length === 0, resources, problems, warnings });
  return problems.length > 0 ? { ...answer, status: 400 } : answer;
}
