export { downstreamTls, tls, upstreamTls } from './extensions.ts';
