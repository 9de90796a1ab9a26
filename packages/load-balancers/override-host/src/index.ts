export { overrideHost } from './override-host.ts';
