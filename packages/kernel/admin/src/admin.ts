import { type Logger, silentLogger } from '@dragoman/core';
import type { Endpoint } from './endpoint.ts';
import { clusters } from './endpoints/clusters.ts';
import { commands } from './endpoints/commands.ts';
import { configDump } from './endpoints/config-dump.ts';
import { listeners } from './endpoints/listeners.ts';
import { logging } from './endpoints/logging.ts';
import { profiling } from './endpoints/profiling.ts';
import { runtime } from './endpoints/runtime.ts';
import { serverInfo } from './endpoints/server-info.ts';
import { stats } from './endpoints/stats.ts';
import { helpText } from './help.ts';
import { page } from './page.ts';
import { type AdminRequest, type AdminResponse, html, Query, text } from './request.ts';
import type { AdminState } from './state.ts';

export interface AdminOptions {
  /** Endpoints beyond Envoy's usual ones. */
  readonly endpoints?: readonly Endpoint[];
  /** Default: writes nothing. */
  readonly logger?: Logger;
}

/** Answers requests to the admin interface. No sockets: see {@link startAdminServer}. */
export class Admin {
  readonly #state: AdminState;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #logger: Logger;

  /** @throws Error when two endpoints have one path */
  constructor(state: AdminState, options: AdminOptions = {}) {
    this.#state = state;
    this.#logger = options.logger ?? silentLogger;
    const all: Endpoint[] = [
      { path: '/', help: 'this page', handle: () => html(page(all)) },
      { path: '/help', help: 'print the commands', handle: () => text(helpText(all)) },
      ...stats(),
      ...clusters(),
      ...configDump(),
      ...listeners(),
      ...serverInfo(),
      ...runtime(),
      ...logging(),
      ...commands(),
      ...profiling(),
      ...(options.endpoints ?? []),
    ];
    for (const endpoint of all) {
      if (this.#endpoints.has(endpoint.path))
        throw new Error(`admin endpoint ${endpoint.path} is there already`);
      this.#endpoints.set(endpoint.path, endpoint);
    }
  }

  /** Bytes of a body that the endpoint of a path takes; undefined: as many as usual. */
  bodyLimit(path: string): number | undefined {
    return this.#endpoints.get(path.split('?', 1)[0] as string)?.maxBodyBytes;
  }

  /** Answers. Never throws: a bug in an endpoint is a 500 and a log line. */
  async handle(request: AdminRequest): Promise<AdminResponse> {
    const mark = request.path.indexOf('?');
    const path = mark < 0 ? request.path : request.path.slice(0, mark);
    const endpoint = this.#endpoints.get(path);
    if (endpoint === undefined) {
      return text(`invalid path. ${helpText([...this.#endpoints.values()])}`, 404);
    }
    if (endpoint.mutates === true && request.method !== 'POST') {
      this.#logger.error(`admin path "${path}" mutates state, method=${request.method} rather than POST`);
      return text(`Method ${request.method} not allowed, POST required.`, 405);
    }
    try {
      return await endpoint.handle(this.#state, parametersOf(endpoint, request), request);
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      this.#logger.error(`admin path "${path}" failed: ${stack ?? message}`);
      return text(`${message}\n`, 500);
    }
  }
}

/** The parameters of the query; a changing request may have them in a form's body instead. */
function parametersOf(endpoint: Endpoint, request: AdminRequest): Query {
  const query = Query.ofPath(request.path);
  if (endpoint.mutates !== true || query.entries.size > 0 || request.body === undefined) return query;
  const type = request.contentType?.split(';')[0].trim().toLowerCase();
  return type === 'application/x-www-form-urlencoded' ? Query.ofForm(request.body) : query;
}
