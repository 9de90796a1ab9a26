export { createProxy, type Proxy, type ProxyOptions } from '@dragoman/server';
export { extensions } from './extensions.ts';
export { workerExtensions } from './worker-extensions.ts';
