export { createProxy, validateBootstrap } from './create-proxy.ts';
export type { DrainStrategy } from './drain-manager.ts';
export * from './log/index.ts';
export type { Proxy, ProxyOptions, ServerFlags, ServerLoggers } from './proxy.ts';
export { RuntimeLayers } from './runtime-layers.ts';
