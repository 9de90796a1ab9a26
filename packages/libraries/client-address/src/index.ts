export { addRanges, CidrTable } from './cidr-table.ts';
export {
  appendForwardedFor,
  appendForwardedIp,
  type ForwardedClient,
  lastForwardedAddress,
  lastUntrustedAddress,
} from './forwarded-for.ts';
export { IpRanges, maskedAddress } from './ip-ranges.ts';
export type { Network } from './network.ts';
export { compileRanges } from './ranges.ts';
export { readIp } from './read-ip.ts';
