// Run by log-relay-threads.test.ts: this thread and its workers write to the same path.
// Arguments: how workers end (flush, throw), workers, lines of each thread, path.
import { Worker } from 'node:worker_threads';
import { silentLogger, systemClock } from '@dragoman/core';
import { MemoryStats } from '@dragoman/testing';
import { createLogFiles } from '../src/log-files.ts';
import { LogRelayServer } from '../src/log-relay-server.ts';
import { relayLine } from './log-relay-lines.ts';

const [end, workers, lines, path = ''] = process.argv.slice(2);
const files = createLogFiles({
  clock: systemClock,
  stats: new MemoryStats(),
  loggers: { logger: () => silentLogger },
});
const server = new LogRelayServer({ files });
// As the listeners of a proxy do; the timer that tries a full pipe again does not.
const awake = setInterval(() => {}, 60_000);
const ended: Promise<void>[] = [];
for (let writer = 1; writer <= Number(workers); writer++) {
  const worker = new Worker(new URL('./log-relay-worker.ts', import.meta.url), {
    workerData: { writer, lines: Number(lines), path, end },
    execArgv: ['--conditions', 'dragoman-source'],
    // Otherwise Node ties the worker's output to this thread's, and makes a pipe at descriptor 1 or 2 non-blocking.
    stdout: true,
    stderr: true,
  });
  worker.on('message', (message) => server.receive(writer, message, (answer) => worker.postMessage(answer)));
  worker.on('error', (error) => {
    if (end !== 'throw') console.error(error);
  });
  ended.push(
    new Promise((done) => {
      worker.on('exit', () => {
        server.detach(writer);
        done();
      });
    }),
  );
}
const file = files.open(path);
for (let i = 0; i < Number(lines); i++) file.write(relayLine(0, i));
await Promise.all(ended);
await files.flush();
files.close();
clearInterval(awake);
