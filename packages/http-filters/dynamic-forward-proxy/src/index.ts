export { dynamicForwardProxy } from './extension.ts';
