export { safeCrossScheme } from './safe-cross-scheme.ts';
