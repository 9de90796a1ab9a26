export { leastRequest } from './least-request.ts';
