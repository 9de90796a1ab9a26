import { isIP } from 'node:net';
import { type UpstreamHttpProtocolOptions, UpstreamHttpProtocolOptionsSchema } from '@dragoman/api';
import { type RequestHeaders, refuseUnsupported } from '@dragoman/core';

/** `upstream_http_protocol_options`: what of a request reaches the TLS of its connection. */
export interface ServerNameSettings {
  /** `auto_sni`: the SNI is the request's host. */
  readonly sni: boolean;
  /** `auto_san_validation`: the peer's certificate must be one for the request's host. */
  readonly validate: boolean;
  /** `override_auto_sni_header`, in lower case: a header that goes before the host; empty: none. */
  readonly header: string;
}

const FIELDS = new Set(['auto_sni', 'auto_san_validation', 'override_auto_sni_header']);

/** @throws ConfigError, paths relative to the message */
export function readServerNames(options: UpstreamHttpProtocolOptions | undefined): ServerNameSettings {
  if (options !== undefined) refuseUnsupported(options, UpstreamHttpProtocolOptionsSchema, FIELDS);
  return {
    sni: options?.autoSni ?? false,
    validate: options?.autoSanValidation ?? false,
    header: (options?.overrideAutoSniHeader ?? '').toLowerCase(),
  };
}

/** The authority that settings find in a request: that of the header, else the request's own. */
export function authorityOf({ header }: ServerNameSettings, headers: RequestHeaders): string {
  const other = header === '' ? undefined : headers.getJoined(header);
  return other === undefined || other === '' ? headers.authority : other;
}

/** The host of `host:port`, `[::1]:port` and their kin, without brackets. */
export function hostOf(authority: string): { readonly host: string; readonly isIp: boolean } {
  const colon = authority.lastIndexOf(':');
  const hasPort = colon >= 0 && !authority.endsWith(']') && PORT.test(authority.slice(colon + 1));
  const host = hasPort ? authority.slice(0, colon) : authority;
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const isIp = isIP(bare) !== 0;
  return { host: isIp ? bare : host, isIp };
}

const PORT = /^[0-9]+$/;
