// A worker that imports this ends while its config is compiled.
import { workerData } from 'node:worker_threads';
import { StructSchema } from '@dragoman/api';
import { defineHttpFilter, type Extension } from '@dragoman/core';
import { EXTENSIONS } from '../extensions.ts';

const hostile = defineHttpFilter({
  name: 'test.commands',
  config: StructSchema,
  create: () => {
    if ((workerData as { readonly index: number }).index === 1) process.exit(7);
    return () => ({});
  },
});

export const extensions: readonly Extension[] = [...EXTENSIONS, hostile];
