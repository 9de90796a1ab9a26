export { redisHealthChecker } from './redis-health-checker.ts';
