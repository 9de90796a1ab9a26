export { consul } from './consul.ts';
