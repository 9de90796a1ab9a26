let metrics: Promise<() => Promise<string>> | undefined;

/**
 * prom-client's default metrics of this process (CPU, memory, heap, GC, event-loop lag) as Prometheus text. Loaded and
 * started by the first scrape: who never scrapes pays nothing. One registry a process, as there is one process.
 */
export async function processMetrics(): Promise<string> {
  metrics ??= import('prom-client').then(({ collectDefaultMetrics, Registry }) => {
    const register = new Registry();
    collectDefaultMetrics({ register });
    return () => register.metrics();
  });
  return (await metrics)();
}
