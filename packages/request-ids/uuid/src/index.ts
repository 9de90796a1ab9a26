export { uuidRequestId } from './uuid-request-ids.ts';
