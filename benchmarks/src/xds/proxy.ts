/**
 * A proxy on worker threads that gets its clusters by ADS: `node proxy.ts BOOTSTRAP WORKERS`, with an IPC channel. It says {@link Said} and
 * does what it is {@link Told}.
 */
import { readFileSync } from 'node:fs';
import { createProxy } from 'dragoman';
import { ARRIVALS, type Arrival } from '../hosts/arrival.ts';
import { extensions } from '../hosts/extensions.ts';

/** Say when so many clusters are there, and warm. */
export interface Told {
  readonly clusters: number;
}

/** `at`: ms by a clock that all processes have in common. */
export type Said =
  /** All workers have a list. */
  | { readonly kind: 'arrived'; readonly marker: string; readonly at: number }
  | { readonly kind: 'warm'; readonly at: number };

const [bootstrap, workers] = process.argv.slice(2) as [string, string];
const say = (what: Said) => process.send?.(what);

/** How many workers have a list. */
const underWay = new Map<string, number>();
const arrivals = new BroadcastChannel(ARRIVALS);
arrivals.onmessage = (event) => {
  const { marker, at } = (event as unknown as { data: Arrival }).data;
  const count = (underWay.get(marker) ?? 0) + 1;
  underWay.set(marker, count);
  if (count < Number(workers)) return;
  underWay.delete(marker);
  say({ kind: 'arrived', marker, at: Number(at) / 1e6 });
};

let timer: NodeJS.Timeout | undefined;
process.on('message', ({ clusters }: Told) => {
  clearInterval(timer);
  timer = setInterval(() => {
    const value = (name: string) => proxy.stats.gauges.get(`cluster_manager.${name}`)?.value;
    if (value('active_clusters') !== clusters || value('warming_clusters') !== 0) return;
    clearInterval(timer);
    say({ kind: 'warm', at: Number(process.hrtime.bigint()) / 1e6 });
  }, 1);
});

const proxy = await createProxy({
  bootstrap: readFileSync(bootstrap, 'utf8'),
  extensions,
  threads: { extensions: new URL('../hosts/extensions.ts', import.meta.url) },
  flags: { concurrency: Number(workers) },
});
