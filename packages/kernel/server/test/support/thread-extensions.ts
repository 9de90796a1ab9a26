// What the workers of these tests import: the usual extensions, and a filter that does to its own thread what a request asks for.
import { threadId, workerData } from 'node:worker_threads';
import { StructSchema } from '@dragoman/api';
import { defineHttpFilter, type Extension, type HttpFilterContext, type HttpStream } from '@dragoman/core';
import { EXTENSIONS } from '../extensions.ts';

/** Which worker this is, from 0. */
const index = (): number => (workerData as { readonly index: number }).index;

type Command = (argument: string, context: HttpFilterContext) => string;

/** By the first part of the path; the answer is the body. What happens later happens outside of any request. */
const COMMANDS: Readonly<Record<string, Command>> = {
  worker: () => `${index()}`,
  thread: () => `${threadId}`,
  throw: () =>
    later(() => {
      throw new Error('thrown on purpose');
    }),
  exit: (code) =>
    later(function endsTheThread() {
      process.exit(Number(code));
    }),
  reject: () => later(() => void Promise.reject(new Error('rejected on purpose'))),
  exhaust: () =>
    later(() => {
      const held: number[][] = [];
      for (;;) held.push(new Array(100_000).fill(held.length));
    }),
  block: (ms) => later(() => block(Number(ms))),
  log: (text, { loggers }) => {
    const logger = loggers.logger('filter');
    logger.debug(`debug ${text}`);
    logger.warn(`warning ${text}`);
    return '';
  },
  // The flag is set where threads begin.
  collect: () => {
    (globalThis as { readonly gc?: () => void }).gc?.();
    return `${process.memoryUsage().heapUsed}`;
  },
  runtime: (key, { runtime }) => `${runtime.getInteger(key, 0)}`,
  hosts: (cluster, { clusters }) =>
    (clusters.get(cluster)?.hostSets ?? [])
      .flatMap(({ hosts }) => hosts.map(({ address }) => address.text))
      .join(' '),
};

function later(action: () => void): string {
  // The answer is out by then.
  setTimeout(action, 5);
  return '';
}

/** Nothing else runs on this thread for so long. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export const COMMAND_FILTER = 'test.commands';

const commands = defineHttpFilter({
  name: COMMAND_FILTER,
  config: StructSchema,
  create: (_config, context) => {
    context.warn('test.commands', 'said by every thread');
    return (stream: HttpStream) => ({
      onRequestHeaders({ path }) {
        const [, name = '', argument = ''] = path.split('/');
        const command = COMMANDS[name];
        if (command !== undefined)
          stream.reply({ status: 200, body: command(argument, context), details: 'commanded' });
      },
    });
  },
});

export const extensions: readonly Extension[] = [...EXTENSIONS, commands];
