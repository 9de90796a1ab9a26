export { createGrpcClientFactory, type GrpcClientFactoryOwner } from './factory.ts';
