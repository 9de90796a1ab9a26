import { OriginalDstSchema } from '@dragoman/api';
import {
  Address,
  ConfigError,
  defineListenerFilter,
  type ListenerFilter,
  type ListenerFilterExtension,
  type ListenerFilterSocket,
} from '@dragoman/core';
import { FfiUnavailable, ffiAvailable, originalDestination } from '@dragoman/posix';

/** The system calls that the filter makes. */
export interface OriginalDstCalls {
  readonly originalDestination: typeof originalDestination;
  readonly ffiAvailable: typeof ffiAvailable;
}

/** @param calls of this machine, or what stands for them in a test */
export function createOriginalDst(calls: OriginalDstCalls): ListenerFilterExtension {
  return defineListenerFilter({
    name: 'envoy.filters.listener.original_dst',
    config: OriginalDstSchema,
    create() {
      if (!calls.ffiAvailable())
        throw ConfigError.at(
          '',
          new FfiUnavailable('the address that a connection was redirected from').message,
        );
      // It keeps nothing of a connection.
      const filter = new OriginalDstFilter(calls.originalDestination);
      return () => filter;
    },
  });
}

/** `envoy.filters.listener.original_dst`. */
export const originalDst = createOriginalDst({ originalDestination, ffiAvailable });

class OriginalDstFilter implements ListenerFilter {
  readonly maxReadBytes = 0;
  private readonly read: typeof originalDestination;

  constructor(read: typeof originalDestination) {
    this.read = read;
  }

  onAccept({ info, descriptor }: ListenerFilterSocket): 'continue' {
    // The local address may be one that a PROXY header has named.
    const { family } = info.directRemoteAddress;
    if (family === 'pipe' || descriptor < 0) return 'continue';
    const found = this.read(descriptor, family);
    if (found === undefined) return 'continue';
    info.localAddress =
      found.family === 'ipv4' ? Address.ipv4(found.ip, found.port) : Address.ip(found.ip, found.port);
    // As in Envoy also when nobody redirected it, and it is the address that it had.
    info.localAddressRestored = true;
    return 'continue';
  }
}
