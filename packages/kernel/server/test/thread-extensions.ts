import { eds } from '@dragoman/discovery-eds';
import { onDemand } from '@dragoman/http-filter-on-demand';
import { tls } from '@dragoman/transport-socket-tls';
import { EXTENSIONS, networkFilter } from './extensions.ts';
import { answering } from './support/answering-filter.ts';
import { restoring } from './support/restoring.ts';

/** Ends the worker that gets a connection. */
export const crash = networkFilter('crash', true, () => {
  setImmediate(() => {
    throw new Error('meant to happen');
  });
  return {};
});

/** What worker threads of these tests import. */
export const extensions = [...EXTENSIONS, eds, onDemand, tls, answering, crash, restoring('10.1.0.1:8080')];
