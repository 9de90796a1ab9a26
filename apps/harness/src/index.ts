export { startUpstream, type UpstreamOptions } from './upstream.ts';
