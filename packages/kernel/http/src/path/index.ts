export * from './connect-port.ts';
export * from './host.ts';
export * from './normalize.ts';
export * from './policy.ts';
