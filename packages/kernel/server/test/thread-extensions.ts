import { EXTENSIONS, networkFilter } from './extensions.ts';

/** Ends the worker that gets a connection. */
export const crash = networkFilter('crash', true, () => {
  setImmediate(() => {
    throw new Error('meant to happen');
  });
  return {};
});

/** What worker threads of these tests import. */
export const extensions = [...EXTENSIONS, crash];
