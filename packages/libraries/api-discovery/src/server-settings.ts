import { isIP } from 'node:net';
import { type ApiServer, ApiServerSchema, create, durationMs } from '@dragoman/api';
import { atPath, ConfigError, ProblemCollector } from '@dragoman/core';
import type { BackoffBounds } from './backoff.ts';

/** Where an API is and how it is asked. */
export interface ApiServerSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Empty: the platform's authorities. */
  readonly caFile: string;
  /** Empty: no token. */
  readonly tokenFile: string;
  /** Empty: the host of {@link origin}. */
  readonly serverName: string;
  /** Both or none. */
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly requestTimeoutMs: number;
  readonly maxResponseBytes: number;
  readonly backoff: BackoffBounds;
  /** A token goes where it can be read on the way. */
  readonly exposesToken: boolean;
}

/** What stands in for fields that are not given. */
export interface ApiServerDefaults {
  readonly url: string;
  /** These go with {@link url}, and not with another one. */
  readonly caFile?: string;
  readonly tokenFile?: string;
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
const DEFAULT_BACKOFF: BackoffBounds = { baseMs: 1_000, maxMs: 30_000 };
/** As Envoy: without `max_interval` the waits end at ten base intervals. */
const MAX_FACTOR = 10;

/**
 * Reads an `ApiServer`.
 * @param defaults undefined: a url must be given; `missing` says so
 * @throws ConfigError with every problem, paths relative to the message
 */
export function readApiServer(
  server: ApiServer = create(ApiServerSchema),
  defaults: ApiServerDefaults | undefined,
  missing = 'is missing',
): ApiServerSettings {
  const problems = new ProblemCollector();
  const own = server.url !== '' || defaults === undefined;
  const url = problems.try('url', () =>
    readUrl(server.url === '' ? (defaults?.url ?? '') : server.url, missing),
  );
  if ((server.clientCertificateFile === '') !== (server.clientKeyFile === ''))
    problems.add(
      server.clientKeyFile === '' ? 'client_key_file' : 'client_certificate_file',
      'is missing: a client certificate needs both files',
    );
  const backoff = problems.try('retry_backoff', () => readBackoff(server));
  if (url?.protocol === 'http:') refuseTlsFields(server, problems);
  problems.throwIfAny();
  const { origin, hostname, protocol } = url as URL;
  const tokenFile = server.tokenFile === '' && !own ? (defaults?.tokenFile ?? '') : server.tokenFile;
  return {
    origin,
    caFile: server.caFile === '' && !own ? (defaults?.caFile ?? '') : server.caFile,
    tokenFile,
    serverName: server.serverName,
    certificateFile: server.clientCertificateFile,
    keyFile: server.clientKeyFile,
    requestTimeoutMs: durationMs(server.requestTimeout) ?? DEFAULT_REQUEST_TIMEOUT_MS,
    maxResponseBytes: server.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
    backoff: backoff ?? DEFAULT_BACKOFF,
    exposesToken: tokenFile !== '' && protocol === 'http:' && !isLoopback(hostname),
  };
}

function readUrl(text: string, missing: string): URL {
  if (text === '') throw ConfigError.at('', missing);
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw ConfigError.at('', `"${text}" is not an http or https URL, such as https://10.96.0.1:443`);
  if (url.username !== '' || url.password !== '')
    throw ConfigError.at('', 'must not hold a user or password; put a token into token_file');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw ConfigError.at('', `must end after the port; remove "${url.pathname}${url.search}${url.hash}"`);
  return url;
}

function refuseTlsFields(server: ApiServer, problems: ProblemCollector): void {
  const fields = {
    ca_file: server.caFile,
    server_name: server.serverName,
    client_certificate_file: server.clientCertificateFile,
  };
  for (const [name, value] of Object.entries(fields))
    if (value !== '') problems.add(name, 'has no meaning for an http URL; write https, or remove it');
}

function readBackoff({ retryBackoff }: ApiServer): BackoffBounds | undefined {
  if (retryBackoff === undefined) return undefined;
  const baseMs = atPath('base_interval', () => {
    const value = durationMs(retryBackoff.baseInterval);
    if (value === undefined || !(value >= 1)) throw ConfigError.at('', 'must be at least 1 ms');
    return value;
  });
  const maxMs = durationMs(retryBackoff.maxInterval) ?? baseMs * MAX_FACTOR;
  if (maxMs < baseMs) throw ConfigError.at('max_interval', 'must not be less than base_interval');
  return { baseMs, maxMs };
}

function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
