export { availableCores } from './available-cores.ts';
export { createProxy, validateBootstrap } from './create-proxy.ts';
export type { DrainStrategy } from './drain-manager.ts';
export * from './log/index.ts';
export { HOT_RESTART_VERSION } from './hot-restart/hot-restart.ts';
export type { InheritedSocket } from './listener/listen-sockets.ts';
export type { Proxy, ProxyOptions, ServerFlags, ServerLoggers, ThreadsOption } from './proxy.ts';
export { siblingModule } from './threads/sibling-module.ts';
export { RuntimeLayers } from './runtime-layers.ts';
