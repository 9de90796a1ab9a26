import type { SocketOption } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

/** What of `socket_options` acts on a connection. */
export interface SocketTuning {
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelayMs: number } | undefined;
}

const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;
const SO_REUSEADDR = 2;
const SO_KEEPALIVE = 9;
const SO_REUSEPORT = 15;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;

/**
 * Node sets SO_REUSEADDR and TCP_NODELAY by itself, keep-alive by a call; it has no call for any other option.
 * @throws ConfigError naming an option that cannot be set
 */
export function readSocketTuning(options: readonly SocketOption[]): SocketTuning {
  let enabled: boolean | undefined;
  let idleSeconds = 0;
  options.forEach((option, i) => {
    const { level, name, value } = option;
    const on = value.case === 'intValue' ? value.value : 0n;
    const path = `socket_options[${i}]`;
    const setTo = (wanted: bigint, what: string): void => {
      if (value.case !== 'intValue' || on !== wanted)
        throw ConfigError.at(path, `${what} cannot be changed on Node; remove the option`);
    };
    if (level === BigInt(SOL_SOCKET) && name === BigInt(SO_KEEPALIVE)) enabled = on !== 0n;
    else if (level === BigInt(IPPROTO_TCP) && name === BigInt(TCP_KEEPIDLE)) idleSeconds = Number(on);
    else if (level === BigInt(SOL_SOCKET) && name === BigInt(SO_REUSEADDR))
      setTo(1n, 'SO_REUSEADDR, which is on,');
    else if (level === BigInt(IPPROTO_TCP) && name === BigInt(TCP_NODELAY))
      setTo(1n, 'TCP_NODELAY, which is on,');
    else if (level === BigInt(SOL_SOCKET) && name === BigInt(SO_REUSEPORT))
      throw ConfigError.at(path, 'use enable_reuse_port instead of SO_REUSEPORT');
    else
      throw ConfigError.at(
        path,
        `socket option level ${level} name ${name} cannot be set on Node; supported are SO_KEEPALIVE (1, 9) and TCP_KEEPIDLE (6, 4)`,
      );
  });
  return { keepAlive: enabled === undefined ? undefined : { enabled, initialDelayMs: idleSeconds * 1000 } };
}
