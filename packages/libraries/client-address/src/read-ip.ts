import { isIP } from 'node:net';
import { Address } from '@dragoman/core';

/** The IP address that `text` is, without brackets, port or zone; undefined when it is none. The port is 0. */
export function readIp(text: string): Address | undefined {
  return isIP(text) === 0 || text.includes('%') ? undefined : Address.ip(text, 0);
}
