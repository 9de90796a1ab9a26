export { logicalDns } from './logical-dns.ts';
