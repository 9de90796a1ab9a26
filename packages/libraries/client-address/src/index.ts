export {
  appendForwardedFor,
  type ForwardedClient,
  lastForwardedAddress,
  lastUntrustedAddress,
} from './forwarded-for.ts';
export { IpRanges, maskedAddress } from './ip-ranges.ts';
export { compileRanges, type Network } from './ranges.ts';
export { readIp } from './read-ip.ts';
