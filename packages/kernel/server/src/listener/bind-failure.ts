import { ConfigError } from '@dragoman/core';
import { describeSocketError } from '@dragoman/network';
import type { BindTarget } from './addresses.ts';

/** What to tell a person about an address that could not be listened on. */
export function bindFailureText(address: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const reason = error instanceof Error ? describeSocketError(error as NodeJS.ErrnoException) : String(error);
  const hint =
    code === 'EADDRINUSE'
      ? ' (another process has it: `ss -ltnp` shows which)'
      : code === 'EACCES'
        ? address.startsWith('/')
          ? ' (its folder must exist and be writable)'
          : ' (ports below 1024 need CAP_NET_BIND_SERVICE)'
        : code === 'EADDRNOTAVAIL'
          ? ' (this machine does not have that address)'
          : '';
  return `cannot listen on ${address}: ${reason}${hint}`;
}

/** The same about a listener with some addresses; Node's error says which of them it was. */
export function bindFailure(targets: readonly BindTarget[], error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { address, port } = error as { address?: string; port?: number };
  const text =
    address === undefined
      ? targets.map((target) => target.address.text).join(', ')
      : port === undefined || port < 0
        ? address
        : address.includes(':')
          ? `[${address}]:${port}`
          : `${address}:${port}`;
  return bindFailureText(text, error);
}
