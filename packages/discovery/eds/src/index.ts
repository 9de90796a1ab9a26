export { eds } from './eds.ts';
