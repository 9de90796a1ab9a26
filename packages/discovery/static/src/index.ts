export { staticDiscovery } from './static.ts';
