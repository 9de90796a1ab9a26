export { previousHosts } from './previous-hosts.ts';
