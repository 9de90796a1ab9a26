export { injectedResource } from './injected-resource.ts';
