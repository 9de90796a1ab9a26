import { EXTENSIONS } from './extensions.ts';

/** What worker threads of these tests import. */
export const extensions = EXTENSIONS;
