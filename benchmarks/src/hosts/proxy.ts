/**
 * A proxy on worker threads whose hosts change: `node proxy.ts BOOTSTRAP UPSTREAM_PORT WORKERS HOSTS`, with an IPC channel. It says
 * {@link Said} and does what it is {@link Told}.
 */
import { readFileSync } from 'node:fs';
import { createProxy } from 'dragoman';
import { ARRIVALS, type Arrival } from './arrival.ts';
import { extensions, given } from './extensions.ts';
import { type Change, HostLists } from './lists.ts';

/** How often hosts change from now on; undefined: not any more. */
export type Told = { readonly change: Change; readonly everyMs: number } | { readonly change: undefined };

export type Said =
  | { readonly kind: 'ready' }
  /** Ms from the moment that main was given a list until a worker had it, for each worker. */
  | { readonly kind: 'arrived'; readonly change: Change; readonly ms: readonly number[] };

const [bootstrap, upstreamPort, workers, count] = process.argv.slice(2) as [string, string, string, string];
const lists = new HostLists(Number(count), Number(upstreamPort));
const say = (what: Said) => process.send?.(what);

/** When lists were given that not all workers have, and how long it took those that have. */
const underWay = new Map<
  string,
  { readonly change: Change; readonly since: bigint; readonly ms: number[] }
>();
const arrivals = new BroadcastChannel(ARRIVALS);
arrivals.onmessage = (event) => {
  const { marker, at } = (event as unknown as { data: Arrival }).data;
  const update = underWay.get(marker);
  if (update === undefined) return;
  update.ms.push(Number(at - update.since) / 1e6);
  if (update.ms.length < Number(workers)) return;
  underWay.delete(marker);
  say({ kind: 'arrived', change: update.change, ms: update.ms });
};

const starting = createProxy({
  bootstrap: readFileSync(bootstrap, 'utf8'),
  extensions,
  threads: { extensions: new URL('./extensions.ts', import.meta.url) },
  flags: { concurrency: Number(workers) },
});
const listener = await given.promise;
listener.onHosts(lists.current);
await starting;

let timer: NodeJS.Timeout | undefined;
process.on('message', (told: Told) => {
  clearInterval(timer);
  const { change } = told;
  if (change === undefined) return;
  timer = setInterval(() => {
    const update = lists.next(change);
    underWay.set(lists.marker, { change, since: process.hrtime.bigint(), ms: [] });
    listener.onHosts(update);
  }, told.everyMs);
});
say({ kind: 'ready' });
