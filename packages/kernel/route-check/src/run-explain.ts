import { parseArgs } from 'node:util';
import { loadConfig, locateError } from '@dragoman/api';
import { ConfigError, type Extension, formatProblem } from '@dragoman/core';
import {
  configuredHosts,
  type ExplainedListener,
  explain,
  ExplainUsageError,
  explanationText,
  readHeader,
  readRandom,
  RuntimeLayers,
} from '@dragoman/server';
import { StatsStore } from '@dragoman/stats';
import { readFile } from './load-routes.ts';
import { offlineContext } from './offline-context.ts';
import type { CheckSurroundings } from './run-check-routes.ts';

const HELP = `Usage: dragoman explain -c <path> '<method> <url>' [flags]

Says where a request goes, and why: the listener and filter chain that take it, the virtual host, the route and why those before it
did not match, what is rewritten, which timeouts and policies hold, and which clusters may serve it. Nothing is sent.

  -c, --config-path <path>      A bootstrap: .yaml, .json, .pb or .pb_text
  -H, --header <name: value>    A header of the request; may be given several times
      --from <address>          The client, an IP with or without a port; default 127.0.0.1
      --sni <name>              The server name of TLS; default the host of an https URL
      --listener-name <name>    Which listener; default the one at the port of the URL, or the only one
      --random <number>         What weighted clusters and runtime fractions are drawn with; default 0
      --json                    As JSON
  -h, --help                    Print this and exit
`;

const OPTIONS = {
  'config-path': { type: 'string', short: 'c' },
  header: { type: 'string', short: 'H', multiple: true },
  from: { type: 'string' },
  sni: { type: 'string' },
  'listener-name': { type: 'string' },
  random: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * `dragoman explain`: where a request goes, and why, without traffic.
 * @param argv what follows `explain`
 * @returns the exit code: 1 for wrong flags and for a configuration that is wrong
 */
export async function runExplain(argv: readonly string[], around: CheckSurroundings): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    if (values.help) {
      around.out(HELP);
      return 0;
    }
    const { 'config-path': file } = values;
    if (file === undefined) throw new ExplainUsageError('a configuration is needed: --config-path (-c)');
    const [request, ...more] = positionals;
    if (request === undefined || more.length > 0)
      throw new ExplainUsageError(
        "one request is needed, in quotes: 'GET https://example.com/path'; see --help",
      );
    const { from, sni, 'listener-name': listener, random, header = [], json } = values;
    const explanation = await explainFile(file, around.extensions, {
      request,
      headers: header.map(readHeader),
      ...(from === undefined ? {} : { from }),
      ...(sni === undefined ? {} : { serverName: sni }),
      ...(listener === undefined ? {} : { listener }),
      ...(random === undefined ? {} : { random: readRandom(random) }),
    });
    around.out(json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    return 0;
  } catch (error) {
    if (error instanceof ConfigError)
      around.err(error.problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
    else if (error instanceof ExplainUsageError) around.err(`dragoman explain: ${error.message}\n`);
    else throw error;
    return 1;
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: true });
  } catch (error) {
    throw new ExplainUsageError((error as Error).message);
  }
}

async function explainFile(
  file: string,
  extensions: readonly Extension[],
  request: Parameters<typeof explain>[1],
): ReturnType<typeof explain> {
  const loaded = loadConfig({ bytes: readFile(file), file });
  const { staticResources, layeredRuntime } = loaded.message;
  const listeners = (staticResources?.listeners ?? []).map(
    (message, i): ExplainedListener => ({
      name: message.name,
      path: `static_resources.listeners[${i}]`,
      message,
    }),
  );
  try {
    const runtime = new RuntimeLayers(layeredRuntime, new StatsStore().createThread());
    return await explain(listeners, request, {
      context: offlineContext(extensions, runtime),
      clusterHosts: configuredHosts(staticResources?.clusters ?? []),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw locateError(loaded, error);
  }
}
