export * from './host.ts';
export * from './normalize.ts';
export * from './policy.ts';
