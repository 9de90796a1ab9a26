export { strictDns } from './strict-dns.ts';
