import type { Address } from '@dragoman/core';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AddressSchema } from './gen/index.ts';

/** An address as `envoy.config.core.v3.Address`, for `create`. */
export function addressMessage(address: Address): MessageInitShape<typeof AddressSchema> {
  if (address.family === 'pipe') return { address: { case: 'pipe', value: { path: address.path } } };
  const portSpecifier = { case: 'portValue', value: address.port } as const;
  return { address: { case: 'socketAddress', value: { address: address.ip, portSpecifier } } };
}
