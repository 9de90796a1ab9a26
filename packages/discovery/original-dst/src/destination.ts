import {
  Address,
  type Counter,
  type LoadBalancerContext,
  type MetadataValue,
  type RequestHeaders,
  type StreamInfo,
} from '@dragoman/core';
import type { OriginalDstSettings } from './config.ts';

/** Filter state by which filters name the host; Envoy's name. */
const DESTINATION_STATE = 'envoy.network.transport_socket.original_dst_address';

/** Finds where a request or connection is to go, in Envoy's order: filter state, metadata, header, the connection's own destination. */
export class DestinationFinder {
  private readonly settings: OriginalDstSettings;
  private readonly invalid: Counter;

  /** @param invalid counts metadata and headers that hold no address: the next source is asked then */
  constructor(settings: OriginalDstSettings, invalid: Counter) {
    this.settings = settings;
    this.invalid = invalid;
  }

  /** An IP and a port, or undefined. */
  find({ info, requestHeaders }: LoadBalancerContext): Address | undefined {
    const found =
      this.inFilterState(info) ??
      this.inMetadata(info) ??
      this.inHeader(requestHeaders) ??
      ofConnection(info);
    if (found === undefined || found.family === 'pipe') return undefined;
    const { port } = this.settings;
    return port === undefined || port === found.port ? found : Address.ip(found.ip, port);
  }

  private inFilterState(info: StreamInfo | undefined): Address | undefined {
    if (info?.hasFilterState !== true) return undefined;
    const text = info.filterState.get(DESTINATION_STATE)?.toText?.();
    return text === undefined ? undefined : parse(text);
  }

  private inMetadata(info: StreamInfo | undefined): Address | undefined {
    const { metadata } = this.settings;
    if (metadata === undefined || info?.hasDynamicMetadata !== true) return undefined;
    const value = valueAt(info.dynamicMetadata.get(metadata.namespace), metadata.path);
    return typeof value === 'string' ? this.parse(value) : undefined;
  }

  private inHeader(headers: RequestHeaders | undefined): Address | undefined {
    const { header } = this.settings;
    if (header === undefined || headers === undefined) return undefined;
    // The first one, when there are several: anybody may have sent it.
    const value = headers.get(header);
    return value === undefined ? undefined : this.parse(value);
  }

  private parse(text: string): Address | undefined {
    const address = parse(text);
    if (address === undefined) this.invalid.inc();
    return address;
  }
}

function parse(text: string): Address | undefined {
  const address = Address.parse(text);
  if (address === undefined || address.family === 'pipe' || address.ip.includes('%')) return undefined;
  // One address has one name, however a client writes it.
  return address.family === 'ipv4'
    ? address
    : Address.ip(new URL(`http://[${address.ip}]`).hostname.slice(1, -1), address.port);
}

/** The socket's own address would be the proxy itself. */
function ofConnection(info: StreamInfo | undefined): Address | undefined {
  const connection = info?.connection;
  return connection?.localAddressRestored === true ? connection.localAddress : undefined;
}

/** The first element stands for a list. */
function valueAt(root: MetadataValue | undefined, path: readonly string[]): MetadataValue | undefined {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, MetadataValue>>)[key];
  }
  return Array.isArray(value) ? (value as readonly MetadataValue[])[0] : value;
}
