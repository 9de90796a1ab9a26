export { downstreamConnections } from './downstream-connections.ts';
