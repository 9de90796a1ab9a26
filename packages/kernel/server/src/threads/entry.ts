// The first module of a worker thread. Main starts it (thread-worker.ts), tells it what to do and hears what became of it.
import { parentPort, workerData } from 'node:worker_threads';
import { describeThrown } from '../log/describe-thrown.ts';
import { ThreadEndpoint } from './endpoint.ts';
import type { ThreadData, ThreadOrder, ThreadReport } from './protocol.ts';

const port = parentPort;
if (port === null) throw new Error('this module is the first of a worker thread, not of a process');
const data = workerData as ThreadData;
const post = (report: ThreadReport): void => port.postMessage(report);

// State that an exception has torn through is not to be trusted: the thread ends, main logs why and starts another.
process.on('uncaughtException', (error) => {
  post({ kind: 'fault', fatal: true, what: 'uncaught exception', stack: describeThrown(error) });
  process.exit(1);
});
// A promise that nobody waited for has torn nothing: told, counted, lived with.
process.on('unhandledRejection', (reason) => {
  post({ kind: 'fault', fatal: false, what: 'unhandled rejection', stack: describeThrown(reason) });
});

const endpoint = await ThreadEndpoint.create(data, post);
port.on('message', (order: ThreadOrder) => endpoint.receive(order));
post({ kind: 'ready' });
