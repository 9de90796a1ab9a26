export * from './gen/index.ts';
export { messageType, registry, typeUrl } from './registry.ts';
