import type { ExplainedRequest, Explanation } from './explanation.ts';
import type { ExplainedListener, ExplainOptions } from './explain-request.ts';

export type { ExplainedListener, ExplainOptions } from './explain-request.ts';
export type { ExplainedRequest, Explanation } from './explanation.ts';
export { configuredHosts } from './cluster-hosts.ts';
export { ExplainUsageError, readHeader, readRandom } from './request-line.ts';
export { explanationText } from './text.ts';

/**
 * Where a request goes and why: listener, filter chain, connection manager, routes. Nothing is sent, counted or logged. Rejects with
 * ExplainUsageError for a request that cannot be read, or of which the listener cannot be told, and with ConfigError.
 */
export async function explain(
  listeners: readonly ExplainedListener[],
  request: ExplainedRequest,
  options: ExplainOptions,
): Promise<Explanation> {
  // Only now: a proxy without HTTP need not load it.
  const { explainRequest } = await import('./explain-request.ts');
  return explainRequest(listeners, request, options);
}
