export { grpcHealthChecker } from './grpc-health-checker.ts';
