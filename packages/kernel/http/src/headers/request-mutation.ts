import { appendForwardedFor, lastForwardedAddress } from '@dragoman/client-address';
import {
  type Address,
  type EarlyHeaderMutation,
  type LocalInfo,
  type OriginalIpDetection,
  type RequestHeaders,
  type RequestIds,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import type { ChooseClientCertPolicy, ClientCertPolicy } from './client-certificate.ts';
import { appendVia } from './via.ts';
import { removeNominated, stripRequestHopByHop } from './hop-by-hop.ts';
import { InternalHeaders } from './internal-headers.ts';
import { compileInternalAddresses, type InternalAddressOptions, isLoopback } from './internal-address.ts';

/** The options of the HTTP connection manager that say whom to trust, and what of it is told upstream. */
export interface RequestMutationOptions {
  /** `use_remote_address`: this proxy is the edge, the peer's address counts. Default false. */
  readonly useRemoteAddress: boolean;
  /** `xff_num_trusted_hops`: proxies in front that are trusted. Default 0. */
  readonly xffNumTrustedHops: number;
  /** `skip_xff_append`; default false. */
  readonly skipXffAppend: boolean;
  /** `append_x_forwarded_port`; default false. */
  readonly appendXForwardedPort: boolean;
  /** `internal_address_config`; undefined: Envoy's default networks. */
  readonly internalAddresses: InternalAddressOptions | undefined;
  /** `via`; empty: none. */
  readonly via: string;
  /** The `user-agent` and `x-envoy-downstream-service-cluster` of `add_user_agent`: the local cluster's name. Undefined: off. */
  readonly userAgent: string | undefined;
  /** `generate_request_id`; default true. */
  readonly generateRequestId: boolean;
  /** `preserve_external_request_id`; default false. */
  readonly preserveExternalRequestId: boolean;
  /** `scheme_header_transformation.scheme_to_overwrite`; undefined: keep. */
  readonly schemeToOverwrite: 'http' | 'https' | undefined;
  /** `scheme_header_transformation.match_upstream`, which the router acts on; default false. */
  readonly schemeMatchUpstream: boolean;
  /** `forward_client_cert_details` and `set_current_client_cert_details`; default `sanitize`. */
  readonly clientCert: ClientCertPolicy;
  /** `forward_client_cert_matcher`; undefined: {@link clientCert} holds for every request. */
  readonly chooseClientCert?: ChooseClientCertPolicy | undefined;
  /** `early_header_mutation_extensions`, in order; empty: none. */
  readonly earlyMutations: readonly EarlyHeaderMutation[];
  /** `original_ip_detection_extensions`, asked in order when `use_remote_address` is off; empty: x-forwarded-for. */
  readonly originalIpDetection: readonly OriginalIpDetection[];
  readonly requestIds: RequestIds;
  readonly localInfo: LocalInfo;
}

/** What became of a request's headers. */
export interface MutationResult {
  /** 0: go on. Else answer with this status and {@link details}. */
  readonly rejectStatus: number;
  readonly details: string;
  /** The request came from inside (`x-envoy-internal: true` was set). */
  readonly internal: boolean;
  /** The request came from outside to the edge. */
  readonly edge: boolean;
}

const INTERNAL: MutationResult = { rejectStatus: 0, details: '', internal: true, edge: false };
const EDGE: MutationResult = { rejectStatus: 0, details: '', internal: false, edge: true };
const EXTERNAL: MutationResult = { rejectStatus: 0, details: '', internal: false, edge: false };
/** Envoy's detail. */
export const CONNECTION_HEADER_REJECTED = 'http1.connection_header_rejected';
/** `connection` nominates what it may not, or too much. */
export const BAD_CONNECTION: MutationResult = {
  rejectStatus: 400,
  details: CONNECTION_HEADER_REJECTED,
  internal: false,
  edge: false,
};

const ID_XFF = wellKnownId('x-forwarded-for');
const ID_XFP = wellKnownId('x-forwarded-proto');
const ID_PORT = wellKnownId('x-forwarded-port');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_EXTERNAL_ADDRESS = wellKnownId('x-envoy-external-address');
const ID_SERVICE_CLUSTER = wellKnownId('x-envoy-downstream-service-cluster');
const ID_SERVICE_NODE = wellKnownId('x-envoy-downstream-service-node');
const ID_USER_AGENT = wellKnownId('user-agent');

const EMPTY: readonly string[] = [];

/**
 * What a request's headers go through before anything else sees them: hop-by-hop headers go, the client's address is
 * found and written down, headers that only insiders may set are removed, `x-request-id` is made.
 *
 * Sets `info.remoteAddress` and `info.requestId`.
 */
export class RequestMutation {
  private readonly options: RequestMutationOptions;
  private readonly isInternal: (address: Address) => boolean;
  private readonly useRemoteAddress: boolean;
  private readonly internalHeaders: InternalHeaders;

  /** @throws ConfigError for a bad `internal_address_config` */
  constructor(options: RequestMutationOptions) {
    this.options = options;
    this.isInternal = compileInternalAddresses(options.internalAddresses);
    this.useRemoteAddress = options.useRemoteAddress;
    this.internalHeaders = new InternalHeaders({
      useRemoteAddress: options.useRemoteAddress,
      keepsClientCert:
        options.clientCert.forward === 'always-forward-only' && options.chooseClientCert === undefined,
    });
  }

  /** @param internalOnlyHeaders `internal_only_headers` of the route configuration, in lower case */
  mutate(
    headers: RequestHeaders,
    info: StreamInfo,
    internalOnlyHeaders: readonly string[] = EMPTY,
  ): MutationResult {
    const { options } = this;
    if (!removeNominated(headers)) return BAD_CONNECTION;
    const { earlyMutations } = options;
    for (let i = 0; i < earlyMutations.length; i++)
      if (!(earlyMutations[i] as EarlyHeaderMutation).mutate(headers, info)) break;
    stripRequestHopByHop(headers);
    headers.removeKnown(ID_INTERNAL);
    sanitizeReferer(headers);

    const peer = info.connection.remoteAddress;
    const secure = info.connection.tls !== undefined;
    let client: Address | undefined;
    let mayBeInternal = false;
    if (this.useRemoteAddress) {
      mayBeInternal = !headers.hasKnown(ID_XFF);
      const hops = options.xffNumTrustedHops;
      client = hops > 0 ? (lastForwardedAddress(headers, hops - 1)?.address ?? peer) : peer;
      if (!options.skipXffAppend) this.appendPeer(headers, peer);
      if (hops === 0 || !headers.hasKnown(ID_XFP)) headers.setKnown(ID_XFP, secure ? 'https' : 'http');
      if (options.appendXForwardedPort && hops === 0) this.setPort(headers, info);
    } else if (options.originalIpDetection.length === 0) {
      const found = lastForwardedAddress(headers, options.xffNumTrustedHops);
      client = found?.address;
      mayBeInternal = found?.single ?? false;
    } else {
      let appendPeer = false;
      for (const extension of options.originalIpDetection) {
        const found = extension.detect(headers, info);
        if (found.rejectStatus !== undefined) return rejected(found.rejectStatus);
        if (found.appendPeer === true) appendPeer = true;
        if (found.address === undefined) continue;
        client = found.address;
        mayBeInternal = found.trusted;
        break;
      }
      if (appendPeer) this.appendPeer(headers, peer);
    }
    if (!headers.hasKnown(ID_XFP)) headers.appendKnown(ID_XFP, secure ? 'https' : 'http');
    if (options.appendXForwardedPort && !headers.hasKnown(ID_PORT)) this.setPort(headers, info);
    this.setScheme(headers, secure);
    if (options.schemeMatchUpstream) info.schemeMatchUpstream = true;

    const internal = mayBeInternal && client !== undefined && this.isInternal(client);
    const edge = !internal && this.useRemoteAddress;
    client ??= peer;
    info.remoteAddress = client;
    if (internal) {
      headers.appendKnown(ID_INTERNAL, 'true');
      this.internalHeaders.sanitizeInside(headers);
    } else {
      this.internalHeaders.sanitizeOutside(headers, edge, internalOnlyHeaders);
    }

    if (options.userAgent !== undefined) this.setUserAgent(headers, options.userAgent);
    if (options.via !== '') appendVia(headers, options.via);
    if (edge && client.family !== 'pipe') headers.setKnown(ID_EXTERNAL_ADDRESS, client.ip);
    if (options.generateRequestId)
      options.requestIds.set(headers, edge && !options.preserveExternalRequestId, !edge);
    info.requestId = options.requestIds.get(headers);
    (options.chooseClientCert?.(headers, info) ?? options.clientCert).apply(headers, info);
    return internal ? INTERNAL : edge ? EDGE : EXTERNAL;
  }

  /** A peer on this machine is written as the machine's own address, as in Envoy: others can make something of it. */
  private appendPeer(headers: RequestHeaders, peer: Address): void {
    const local = this.options.localInfo.address;
    if (isLoopback(peer) && local !== '') {
      const before = headers.getJoined('x-forwarded-for');
      headers.setKnown(ID_XFF, before === undefined || before === '' ? local : `${before},${local}`);
    } else {
      appendForwardedFor(headers, peer);
    }
  }

  private setPort(headers: RequestHeaders, info: StreamInfo): void {
    const local = info.connection.localAddress;
    if (local.family !== 'pipe') headers.setKnown(ID_PORT, String(local.port));
  }

  private setScheme(headers: RequestHeaders, secure: boolean): void {
    const forced = this.options.schemeToOverwrite;
    if (forced !== undefined) {
      headers.scheme = forced;
      headers.setKnown(ID_XFP, forced);
    } else if (headers.scheme === '') {
      const proto = headers.getKnown(ID_XFP);
      headers.scheme = proto === 'http' || proto === 'https' ? proto : secure ? 'https' : 'http';
    }
  }

  private setUserAgent(headers: RequestHeaders, name: string): void {
    headers.setKnown(ID_SERVICE_CLUSTER, name);
    const present = headers.getKnown(ID_USER_AGENT);
    if (present === undefined || present === '') headers.setKnown(ID_USER_AGENT, name);
    if (this.options.localInfo.node !== '') headers.setKnown(ID_SERVICE_NODE, this.options.localInfo.node);
  }
}

/** `mutate` of a {@link RequestMutation}, as a function. @throws ConfigError for a bad `internal_address_config` */
export function compileRequestMutation(
  options: RequestMutationOptions,
): (headers: RequestHeaders, info: StreamInfo, internalOnlyHeaders?: readonly string[]) => MutationResult {
  const mutation = new RequestMutation(options);
  return (headers, info, internalOnlyHeaders) => mutation.mutate(headers, info, internalOnlyHeaders);
}

function rejected(status: number): MutationResult {
  return {
    rejectStatus: status,
    details: 'rejecting_because_detection_failed',
    internal: false,
    edge: false,
  };
}

/** A Referer that is repeated, or no absolute URL or path, goes (as in Envoy). */
function sanitizeReferer(headers: RequestHeaders): void {
  const first = headers.names.indexOf('referer');
  if (first < 0) return;
  if (headers.names.indexOf('referer', first + 1) >= 0 || !isAbsoluteUrl(headers.values[first] as string))
    headers.remove('referer');
}

/** `scheme://host…`, without spaces. */
const ABSOLUTE_URL = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s/?#]+[^\s]*$/;

function isAbsoluteUrl(value: string): boolean {
  return ABSOLUTE_URL.test(value);
}
