import { readFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

/** What the command reads and where it writes. */
export interface CommandSurroundings {
  out(text: string): void;
  err(text: string): void;
  /** Standard input, for the file `-`. */
  input?(): string;
}

const HELP = `Usage: dragoman validate-update --admin-address <address> [flags] <file>

Asks a running proxy whether it would take a resource over, as if a control plane had sent it. Nothing is changed.
The file is YAML or JSON: a Listener, Cluster, RouteConfiguration, ClusterLoadAssignment, Secret and so on, or a
DiscoveryResponse; - reads standard input.

      --admin-address <address>  host:port, an http:// URL, or the path of a Unix socket
  -t, --type <type>              What it is, such as Cluster; default: what its "@type" says
  -n, --name <name>              By which name it is asked for; default: its own
      --timeout-s <seconds>      How long to wait for the answer; default 30
      --json                     Print the answer as JSON
  -h, --help                     Print this and exit
`;

const OPTIONS = {
  'admin-address': { type: 'string' },
  type: { type: 'string', short: 't' },
  name: { type: 'string', short: 'n' },
  'timeout-s': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const DEFAULT_TIMEOUT_S = 30;

/** What is wrong with how the command was called, or with the way to the proxy. */
class CommandError extends Error {}

/**
 * `dragoman validate-update`: whether a running proxy would take a resource over.
 * @param argv what follows `validate-update`
 * @returns the exit code: 1 when it would be refused, or nobody could be asked
 */
export async function runValidateUpdate(
  argv: readonly string[],
  around: CommandSurroundings,
): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    if (values.help) {
      around.out(HELP);
      return 0;
    }
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new CommandError('one file is needed; see --help');
    const { type, name, json, 'admin-address': address } = values;
    if (address === undefined)
      throw new CommandError('the proxy to ask is needed: --admin-address 127.0.0.1:9901');
    const query = new URLSearchParams({
      file: file === '-' ? 'standard input' : basename(file),
      ...(type === undefined ? {} : { type }),
      ...(name === undefined ? {} : { name }),
      ...(json ? { format: 'json' } : {}),
    });
    // A plus is a plus there.
    const path = `/validate_update?${query.toString().replaceAll('+', '%20')}`;
    const { status, body } = await post(
      { ...target(address), path },
      read(file, around),
      seconds(values['timeout-s']) * 1000,
    );
    if (status !== 200 && status !== 400)
      throw new CommandError(
        status === 404
          ? 'what answers there has no /validate_update: is it a Dragoman, and recent enough?'
          : `the proxy answers with ${status}: ${body.trim()}`,
      );
    if (status === 200 || json) around.out(body);
    else around.err(body);
    return status === 200 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    around.err(`dragoman validate-update: ${error.message}\n`);
    return 1;
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: true });
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

function seconds(text: string | undefined): number {
  const value = text === undefined ? DEFAULT_TIMEOUT_S : Number(text);
  if (!(value > 0 && value <= 3600))
    throw new CommandError(`--timeout-s must be a number of seconds up to 3600, is "${text}"`);
  return value;
}

function read(file: string, around: CommandSurroundings): string {
  try {
    return file === '-' ? (around.input?.() ?? '') : readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`);
  }
}

function target(address: string): RequestOptions {
  if (address.startsWith('/') || address.startsWith('.')) return { socketPath: address };
  if (address.startsWith('@')) return { socketPath: `\0${address.slice(1)}` };
  let url: URL;
  try {
    url = new URL(address.includes('://') ? address : `http://${address}`);
  } catch {
    throw new CommandError(`--admin-address "${address}" is neither host:port nor the path of a Unix socket`);
  }
  if (url.protocol !== 'http:')
    throw new CommandError('--admin-address: the admin interface speaks plain HTTP');
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : Number(url.port) };
}

function post(
  options: RequestOptions,
  body: string,
  timeoutMs: number,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new CommandError(`the proxy cannot be asked: ${error.message || String(error)}`));
    const sent = request(
      { ...options, method: 'POST', headers: { 'content-type': 'application/yaml', host: 'admin' } },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', fail);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
        );
      },
    );
    sent.on('error', fail);
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.end(body);
  });
}
