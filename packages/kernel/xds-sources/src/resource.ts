import { type Any, anyTypeName, durationMs, ResourceSchema, unpackAnyAs } from '@dragoman/api';

/** A resource of a response, taken out of the `Resource` that may stand around it. */
export interface UnwrappedResource {
  readonly wrapped: boolean;
  /** Empty: it stands in the body. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly version: string;
  /** Undefined: it lives until it is removed. */
  readonly ttlMs: number | undefined;
  /** Undefined: none was sent, as in heartbeats. */
  readonly body: Any | undefined;
}

const NO_ALIASES: readonly string[] = [];

/**
 * @param version of the response: that of a resource which says none of its own
 * @throws ConfigError when what stands around it cannot be read
 */
export function unwrapResource(any: Any, version: string): UnwrappedResource {
  if (anyTypeName(any) === ResourceSchema.typeName) {
    const found = unpackAnyAs(any, ResourceSchema);
    if (found !== undefined)
      return {
        wrapped: true,
        name: found.name,
        aliases: found.aliases,
        version: found.version === '' ? version : found.version,
        ttlMs: durationMs(found.ttl),
        body: found.resource,
      };
  }
  return { wrapped: false, name: '', aliases: NO_ALIASES, version, ttlMs: undefined, body: any };
}
