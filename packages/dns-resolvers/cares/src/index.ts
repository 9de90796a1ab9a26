export { caresDnsResolver } from './cares.ts';
export { CaresResolver, type CaresResolverOptions } from './cares-resolver.ts';
