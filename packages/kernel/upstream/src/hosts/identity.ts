import type { EndpointData } from '@dragoman/core';

/** What makes an endpoint the same host in the next list. */
export function identityOf({ id, address }: Pick<EndpointData, 'id' | 'address'>): string {
  return id ?? address;
}
