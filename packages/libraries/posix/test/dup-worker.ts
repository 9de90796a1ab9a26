import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { closeDescriptor, dup } from '../src/index.ts';

/** Serves one connection on a copy of the descriptor it is given, then ends. */
closeDescriptor(dup(workerData));
const server = createServer((socket) => socket.end(`from ${workerData}`)).listen(
  { fd: dup(workerData) },
  () => {
    server.once('connection', () => server.close());
    parentPort?.postMessage('listening');
  },
);
