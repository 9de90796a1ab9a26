import { siblingModule } from '@dragoman/server';

/**
 * The module of `extensions`, for `createProxy`'s `threads: { extensions: workerExtensions }`: each worker thread loads it.
 */
export const workerExtensions: URL = siblingModule(
  new URL('./extensions.ts', import.meta.url),
  import.meta.url,
);
