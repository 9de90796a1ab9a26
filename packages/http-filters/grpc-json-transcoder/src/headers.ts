import { type HeaderMap, type RequestHeaders, wellKnownId } from '@dragoman/core';

export const ID_CONTENT_LENGTH: number = wellKnownId('content-length');
export const ID_CONTENT_TYPE: number = wellKnownId('content-type');
export const ID_TRAILER: number = wellKnownId('trailer');
const ID_ORIGINAL_PATH = wellKnownId('x-envoy-original-path');
const ID_TE = wellKnownId('te');

/** Makes a request the gRPC call of `path`; what it was stands in `x-envoy-original-path` and `-method`. */
export function becomeCall(headers: RequestHeaders, path: string): void {
  headers.removeKnown(ID_CONTENT_LENGTH);
  headers.setKnown(ID_CONTENT_TYPE, 'application/grpc');
  headers.setKnown(ID_ORIGINAL_PATH, headers.path);
  headers.set('x-envoy-original-method', headers.method);
  headers.path = path;
  headers.method = 'POST';
  headers.setKnown(ID_TE, 'trailers');
}

export function setOrRemove(headers: HeaderMap, name: string, value: string | undefined): void {
  if (value === undefined || value === '') headers.remove(name);
  else headers.set(name, value);
}
