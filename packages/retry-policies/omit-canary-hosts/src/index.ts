export { omitCanaryHosts } from './omit-canary-hosts.ts';
