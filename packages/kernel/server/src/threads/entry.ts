// The first module of a worker thread. Main starts it (thread-worker.ts), tells it what to do and hears what became of it.
import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { describeThrown } from '../log/describe-thrown.ts';
import type { ThreadEndpoint } from './endpoint.ts';
import type { ThreadData, ThreadOrder, ThreadReport } from './protocol.ts';

const port = parentPort;
if (port === null) throw new Error('this module is the first of a worker thread, not of a process');
const data = workerData as ThreadData;
const post = (report: ThreadReport): void => port.postMessage(report);
let endpoint: ThreadEndpoint | undefined;

let ending = false;
function fatal(what: string, thrown: unknown): void {
  if (ending) return;
  ending = true;
  post({ kind: 'fault', fatal: true, what, stack: describeThrown(thrown) });
}

// State that an exception has torn through is not to be trusted: the thread ends, main logs why and starts another.
process.on('uncaughtException', (error) => {
  fatal('uncaught exception', error);
  process.exit(1);
});
// On the stack of whoever ends the thread; main ends it without this event.
process.on('exit', (code) => {
  fatal(`process.exit(${code})`, new Error('called'));
  endpoint?.abandon();
});
// A promise that nobody waited for has torn nothing: told, counted, lived with.
process.on('unhandledRejection', (reason) => {
  post({ kind: 'fault', fatal: false, what: 'unhandled rejection', stack: describeThrown(reason) });
});

try {
  if (data.compileCache !== undefined) enableCompileCache(data.compileCache);
  const { ThreadEndpoint } = await import('./endpoint.ts');
  const created = await ThreadEndpoint.create(data, post);
  endpoint = created;
  port.on('message', (order: ThreadOrder) => created.receive(order));
  post({ kind: 'ready' });
} catch (error) {
  fatal('its extensions cannot be loaded', error);
  process.exit(1);
}
