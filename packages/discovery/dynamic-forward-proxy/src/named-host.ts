import type { LoadBalancerContext, StreamInfo } from '@dragoman/core';
import { authorityKey } from '@dragoman/dns-cache';

/** Filter state by which filters name the host and its port; the names are Envoy's. */
const DYNAMIC_HOST = 'envoy.upstream.dynamic_host';
const DYNAMIC_PORT = 'envoy.upstream.dynamic_port';
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
const MAX_PORT = 65_535;
const WHOLE = /^[0-9]{1,5}$/;

/** The host that a stream asks for, as caches key it; undefined: it names none. */
export function namedHost(context: LoadBalancerContext | undefined, secure: boolean): string | undefined {
  if (context === undefined) return undefined;
  const { info, requestHeaders } = context;
  const name =
    stateText(info, DYNAMIC_HOST) ?? requestHeaders?.authority ?? info?.connection.requestedServerName ?? '';
  if (name === '') return undefined;
  return authorityKey(name, dynamicPort(info) ?? (secure ? HTTPS_PORT : HTTP_PORT));
}

function stateText(info: StreamInfo | undefined, key: string): string | undefined {
  return info?.hasFilterState === true ? info.filterState.get(key)?.toText?.() : undefined;
}

function dynamicPort(info: StreamInfo | undefined): number | undefined {
  const text = stateText(info, DYNAMIC_PORT);
  if (text === undefined || !WHOLE.test(text)) return undefined;
  const port = Number(text);
  return port > 0 && port <= MAX_PORT ? port : undefined;
}
