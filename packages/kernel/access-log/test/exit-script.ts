// Run by log-files.test.ts: writes entries and exits in the same turn, as on a second SIGTERM.
import { silentLogger, systemClock } from '@dragoman/core';
import { MemoryStats } from '@dragoman/testing';
import { createLogFiles } from '../src/log-files.ts';

const files = createLogFiles({
  clock: systemClock,
  stats: new MemoryStats(),
  loggers: { logger: () => silentLogger },
});
process.on('exit', () => files.close());
const file = files.open(process.argv[2] as string);
for (let i = 0; i < 20_000; i++) file.write(`line ${i} ${'x'.repeat(50)}\n`);
const out = files.open('/dev/stdout');
for (let i = 0; i < 100; i++) out.write('to stdout\n');
process.exit(0);
