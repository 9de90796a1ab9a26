import type { FilterStateObject, RequestHeaders, StreamInfo } from '@dragoman/core';
import { portStart } from './host.ts';

/** Envoy's name. */
const KEY = 'envoy.router.original_connect_port';

/** The port of a CONNECT, which routes do not see. */
class OriginalConnectPort implements FilterStateObject {
  readonly lifeSpan = 'request';
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  toText(): string {
    return String(this.port);
  }
}

/** Keeps the port that was taken from the authority of a CONNECT. */
export function keepConnectPort(info: StreamInfo, port: number): void {
  info.filterState.set(KEY, new OriginalConnectPort(port));
}

/** Gives the authority of a CONNECT its port back, for the upstream. */
export function restoreConnectPort(headers: RequestHeaders, info: StreamInfo): void {
  if (!info.hasFilterState || portStart(headers.authority) >= 0) return;
  const kept = info.filterState.get(KEY);
  if (kept instanceof OriginalConnectPort) headers.authority += `:${kept.port}`;
}
