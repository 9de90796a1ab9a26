import { type XffConfig, XffConfigSchema } from '@dragoman/api';
import {
  compileRanges,
  type ForwardedClient,
  type IpRanges,
  lastForwardedAddress,
  lastUntrustedAddress,
} from '@dragoman/client-address';
import {
  ConfigError,
  type DetectedIp,
  defineOriginalIpDetection,
  type OriginalIpDetection,
  type RequestHeaders,
  type StreamInfo,
} from '@dragoman/core';

/** `envoy.http.original_ip_detection.xff`: the client's address is in x-forwarded-for. */
export const xffDetection = defineOriginalIpDetection({
  name: 'envoy.http.original_ip_detection.xff',
  config: XffConfigSchema,
  create(config) {
    const trusted = readTrusted(config);
    const appendPeer = !(config.skipXffAppend ?? true);
    return trusted === undefined
      ? new HopCount(config.xffNumTrustedHops, appendPeer)
      : new TrustedNetworks(trusted, appendPeer);
  },
});

function readTrusted({ xffTrustedCidrs, xffNumTrustedHops }: XffConfig): IpRanges | undefined {
  if (xffTrustedCidrs === undefined) return undefined;
  if (xffNumTrustedHops > 0)
    throw ConfigError.at('xff_trusted_cidrs', 'Cannot set both xff_num_trusted_hops and xff_trusted_cidrs');
  const ranges = compileRanges(xffTrustedCidrs.cidrs, 'xff_trusted_cidrs.cidrs');
  return ranges.empty ? undefined : ranges;
}

/** So many proxies in front are trusted, whoever they are. */
class HopCount implements OriginalIpDetection {
  private readonly hops: number;
  private readonly notFound: DetectedIp;

  constructor(hops: number, appendPeer: boolean) {
    this.hops = hops;
    this.notFound = { address: undefined, trusted: false, appendPeer };
  }

  detect(headers: RequestHeaders): DetectedIp {
    return found(lastForwardedAddress(headers, this.hops), this.notFound);
  }
}

/** Proxies in these networks are trusted, however many there are. What a peer sent that is none of them is not read. */
class TrustedNetworks implements OriginalIpDetection {
  private readonly trusted: IpRanges;
  private readonly notFound: DetectedIp;

  constructor(trusted: IpRanges, appendPeer: boolean) {
    this.trusted = trusted;
    this.notFound = { address: undefined, trusted: false, appendPeer };
  }

  detect(headers: RequestHeaders, { connection }: StreamInfo): DetectedIp {
    if (!this.trusted.has(connection.remoteAddress)) return this.notFound;
    return found(lastUntrustedAddress(headers, this.trusted), this.notFound);
  }
}

function found(client: ForwardedClient | undefined, notFound: DetectedIp): DetectedIp {
  if (client === undefined) return notFound;
  return { address: client.address, trusted: client.single, appendPeer: notFound.appendPeer === true };
}
