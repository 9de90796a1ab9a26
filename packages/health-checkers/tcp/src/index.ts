export { tcpHealthChecker } from './tcp-health-checker.ts';
