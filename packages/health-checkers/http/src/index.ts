export { httpHealthChecker } from './http-health-checker.ts';
