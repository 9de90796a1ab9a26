// A worker of log-relay-main.ts: writes its lines, then ends in good order or dies with entries that wait.
import { parentPort, workerData } from 'node:worker_threads';
import { silentLogger, systemClock } from '@dragoman/core';
import { MemoryStats } from '@dragoman/testing';
import { createLogFiles } from '../src/log-files.ts';
import { LogRelayClient } from '../src/log-relay.ts';
import { relayLine } from './log-relay-lines.ts';

interface Work {
  readonly writer: number;
  readonly lines: number;
  readonly path: string;
  readonly end: 'flush' | 'throw';
}

const { writer, lines, path, end } = workerData as Work;
const port = parentPort;
if (port === null) throw new Error('this is for a worker thread');
const relay = new LogRelayClient({ post: (message) => port.postMessage(message) });
port.on('message', (answer) => relay.receive(answer));
const files = createLogFiles({
  clock: systemClock,
  stats: new MemoryStats(),
  loggers: { logger: () => silentLogger },
  relay,
});
process.on('exit', () => files.close());
const file = files.open(path);
for (let i = 0; i < lines; i++) {
  file.write(relayLine(writer, i));
  // Answers come in between, but not so often that nothing waits at the end.
  if (i % 300 === 299) await new Promise((done) => setImmediate(done));
}
if (end === 'throw') throw new Error('died on purpose');
await files.flush();
port.close();
