export { adaptiveConcurrency } from './extension.ts';
