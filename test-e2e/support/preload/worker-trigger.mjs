// Preloaded into the threads of a command under test (`NODE_OPTIONS=--import=…`). A worker whose number is asked for by a file
// `block.<number>` in the command's folder hangs, says so by `blocked.<number>`, and dies when there is `die.<number>`.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const LOOK_EVERY_MS = 5;

if (!isMainThread && typeof workerData?.index === 'number') {
  const file = (name) => `${name}.${workerData.index}`;
  const timer = setInterval(() => {
    if (!existsSync(file('block'))) return;
    clearInterval(timer);
    writeFileSync(file('blocked'), '');
    const pause = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(file('die'))) Atomics.wait(pause, 0, 0, LOOK_EVERY_MS);
    // Not for the one that takes its place.
    for (const name of ['block', 'blocked', 'die']) rmSync(file(name), { force: true });
    throw new Error('died on purpose');
  }, LOOK_EVERY_MS);
  timer.unref();
}
