export { aggregate } from './aggregate.ts';
