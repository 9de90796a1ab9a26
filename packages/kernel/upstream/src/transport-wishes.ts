import {
  type ClusterInfo,
  PROXY_PROTOCOL_STATE,
  type ProxyProtocolData,
  ProxyProtocolState,
  type RequestHeaders,
  type StreamInfo,
  type TransportOptions,
} from '@dragoman/core';
import type { ClusterSettings } from './config/cluster-settings.ts';
import { authorityOf, hostOf } from './config/server-names.ts';
import { allSockets } from './config/transport-sockets.ts';

/** Filter state by which filters speak to the transport of upstream connections; the names are Envoy's. */
const SERVER_NAME = 'envoy.network.upstream_server_name';
const SUBJECT_ALT_NAMES = 'envoy.network.upstream_subject_alt_names';
const APPLICATION_PROTOCOLS = 'envoy.network.application_protocols';

type Wishes = NonNullable<ClusterInfo['transportOptions']>;

/** What the streams of a cluster ask of their connections' transport. Undefined where none can ask for anything. */
export function transportWishes(settings: ClusterSettings): Wishes | undefined {
  const sockets = allSockets(settings.transport);
  const secure = settings.choosesMembers || sockets.some((socket) => socket.secure);
  const proxied = sockets.some((socket) => socket.usesProxyProtocol === true);
  if (!secure && !proxied) return undefined;
  const { serverNames } = settings.http;
  const byHost = secure && (serverNames.sni || serverNames.validate);
  let latest: TransportOptions | undefined;
  return (headers, info) => {
    // A stream of which nothing is asked costs two looks.
    if (!byHost && !proxied && !(secure && info.hasFilterState)) return undefined;
    const wish: Wish = {};
    if (secure && info.hasFilterState) addFilterState(wish, info);
    if (byHost && headers !== undefined) addHost(wish, settings, headers);
    if (proxied && info.tellsAddresses) wish.proxyProtocol = proxyDataOf(info);
    const key = keyOf(wish);
    if (key === '') return undefined;
    // Neighbours often ask for the same.
    if (latest?.key !== key) latest = { key, ...wish };
    return latest;
  };
}

interface Wish {
  serverName?: string;
  verifySubjectAltNames?: readonly string[];
  applicationProtocols?: readonly string[];
  proxyProtocol?: ProxyProtocolData;
}

function addFilterState(wish: Wish, info: StreamInfo): void {
  const { filterState } = info;
  const serverName = filterState.get(SERVER_NAME)?.toText?.();
  const names = filterState.get(SUBJECT_ALT_NAMES)?.toText?.();
  const protocols = filterState.get(APPLICATION_PROTOCOLS)?.toText?.();
  if (serverName !== undefined) wish.serverName = serverName;
  if (names !== undefined) wish.verifySubjectAltNames = names.split(',');
  if (protocols !== undefined) wish.applicationProtocols = protocols.split(',');
}

/** What a filter has said goes before. */
function addHost(wish: Wish, { http: { serverNames } }: ClusterSettings, headers: RequestHeaders): void {
  const { host, isIp } = hostOf(authorityOf(serverNames, headers));
  if (host === '') return;
  if (serverNames.sni && !isIp) wish.serverName ??= host;
  if (serverNames.validate) wish.verifySubjectAltNames ??= [host];
}

/** The client as its connection shows it, and what it sent along. */
function proxyDataOf({ connection }: StreamInfo): ProxyProtocolData {
  const state = connection.filterState?.get(PROXY_PROTOCOL_STATE);
  const told = state instanceof ProxyProtocolState ? state : undefined;
  return {
    source: told?.remoteAddress ?? connection.remoteAddress,
    destination: told?.localAddress ?? connection.localAddress,
    tlvs: told?.tlvs ?? [],
  };
}

/** No two wishes have the same: every text stands behind its length, whatever it holds. */
function keyOf({ serverName, verifySubjectAltNames, applicationProtocols, proxyProtocol }: Wish): string {
  let key = '';
  if (serverName !== undefined) key += `sni${measured(serverName)}`;
  if (verifySubjectAltNames !== undefined) key += `san${listed(verifySubjectAltNames)}`;
  if (applicationProtocols !== undefined) key += `alpn${listed(applicationProtocols)}`;
  if (proxyProtocol === undefined) return key;
  key += `proxy${measured(proxyProtocol.source.text)}${measured(proxyProtocol.destination.text)}`;
  for (const { type, value } of proxyProtocol.tlvs) key += `tlv${type}${measured(value.toString('hex'))}`;
  return key;
}

function measured(text: string): string {
  return `:${text.length}:${text}`;
}

function listed(texts: readonly string[]): string {
  let key = `:${texts.length}`;
  for (const text of texts) key += measured(text);
  return key;
}
