export { pickFirst } from './pick-first.ts';
