export { preserveCase } from './preserve-case.ts';
