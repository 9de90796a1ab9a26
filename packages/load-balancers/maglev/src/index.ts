export { maglev } from './maglev.ts';
