import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, HttpUpstream, text } from '@dragoman/testing';

export interface UpstreamOptions {
  /** IP or name to listen on; default `127.0.0.1`. */
  readonly host?: string;
  /** Default 0: the system chooses. */
  readonly port?: number;
  /** Milliseconds before each answer; default 0. */
  readonly latencyMs?: number;
  /** Every n-th answer is a 503; default 0: none. */
  readonly failEvery?: number;
  /** Body of the answers; default: the method and path that were asked for. */
  readonly body?: string;
  /** Waits; default: the machine's time. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

/**
 * Starts an HTTP/1.1 service that answers 200 with a text: slow or failing at times, when it is told to.
 * Rejects with Node's error when the address cannot be had.
 */
export async function startUpstream(options: UpstreamOptions = {}): Promise<HttpUpstream> {
  const { host = '127.0.0.1', port = 0, latencyMs = 0, failEvery = 0, wait = delay } = options;
  let count = 0;
  const answer: Answer = async (exchange) => {
    count++;
    const fails = failEvery > 0 && count % failEvery === 0;
    // Demos run long and under load: what tests ask for later is not kept here.
    upstream.requests.length = 0;
    exchange.message.resume();
    if (latencyMs > 0) await wait(latencyMs);
    if (exchange.response.destroyed) return;
    const { method, path } = exchange.request;
    const reply = fails ? text('failing on purpose\n', 503) : text(options.body ?? `${method} ${path}\n`);
    await reply(exchange);
  };
  const upstream = await HttpUpstream.start(answer, { host, port });
  return upstream;
}
