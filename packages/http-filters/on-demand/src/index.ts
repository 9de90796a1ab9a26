export { onDemand } from './extension.ts';
