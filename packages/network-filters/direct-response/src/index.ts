export { directResponse } from './direct-response.ts';
