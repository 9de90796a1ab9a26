import { connect, createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { listen } from './raw-upstream.ts';
import { within } from './wait.ts';

/** Listens, tells the port, and then blocks its thread: the kernel queues connections that nobody takes. */
const LISTENER = `
  const { createServer } = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  const server = createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(workerData), 0, 0);
  });
`;

/** Linux lets one connection more into the queue than the backlog says. */
const QUEUE = 2;

/** A connection that takes a place in the queue. */
interface Filler {
  readonly socket: Socket;
  readonly closed: Promise<void>;
}

/** A port on 127.0.0.1 where a connect neither succeeds nor fails: its queue is full, so the kernel drops every SYN. */
export class BlackHole {
  readonly port: number;
  private readonly worker: Worker;
  private readonly flag: SharedArrayBuffer;
  private readonly fillers: readonly Filler[];

  private constructor(port: number, worker: Worker, flag: SharedArrayBuffer, fillers: readonly Filler[]) {
    this.port = port;
    this.worker = worker;
    this.flag = flag;
    this.fillers = fillers;
  }

  /** Linux only: elsewhere a full queue refuses connections. */
  static async start(): Promise<BlackHole> {
    const flag = new SharedArrayBuffer(4);
    const worker = new Worker(LISTENER, { eval: true, workerData: flag });
    const port = await within(
      new Promise<number>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
      'starting a black hole',
    );
    const fillers: Filler[] = [];
    while (fillers.length < QUEUE) {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', () => {});
      fillers.push({ socket, closed: new Promise((resolve) => socket.once('close', () => resolve())) });
      await within(new Promise((resolve) => socket.once('connect', resolve)), 'filling a black hole');
    }
    return new BlackHole(port, worker, flag, fillers);
  }

  async stop(): Promise<void> {
    Atomics.store(new Int32Array(this.flag), 0, 1);
    Atomics.notify(new Int32Array(this.flag), 0);
    await this.worker.terminate();
    for (const { socket } of this.fillers) socket.destroy();
    await Promise.all(this.fillers.map(({ closed }) => closed));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A port on 127.0.0.1 where nobody listens: it was free a moment ago. */
export async function refusedPort(): Promise<number> {
  const server = createServer();
  await listen(server, {});
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
