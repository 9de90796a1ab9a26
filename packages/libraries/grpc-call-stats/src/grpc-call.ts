/** What a request calls. */
export interface GrpcCall {
  /** With its package: `acme.users.Users`. */
  readonly service: string;
  readonly method: string;
}

/** Each part is of other characters than its neighbours: there is nothing to go back over. */
const CALL = /^\/*([^/?]+)\/+([^/?]+)\/*(?:\?|$)/;

/**
 * The call in a `:path` (Envoy: `resolveServiceAndMethod`): two segments, whatever the slashes around them, and perhaps a query.
 * Undefined for anything else.
 */
export function grpcCallOf(path: string): GrpcCall | undefined {
  const [, service, method] = CALL.exec(path) ?? [];
  return service === undefined || method === undefined ? undefined : { service, method };
}
