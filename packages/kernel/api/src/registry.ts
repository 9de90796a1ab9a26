import type { DescEnum, DescMessage, DescService } from '@bufbuild/protobuf';
import { tsEnum } from '@bufbuild/protobuf/codegenv2';
import { contents, descriptors } from './gen/descriptors.ts';
import { LazyRegistry } from './lazy-registry.ts';

/** Every message, enum, service and extension of the Envoy v3 API, of xds and udpa, and the well-known types. */
export const registry: LazyRegistry = new LazyRegistry(descriptors, contents);

const TYPE_URL = 'type.googleapis.com/';

/** The message type of a full name (`envoy.config.cluster.v3.Cluster`) or of a type URL; undefined when unknown. */
export function messageType(nameOrUrl: string): DescMessage | undefined {
  return registry.getMessage(typeNameOf(nameOrUrl));
}

/** The full name of the type that a type URL stands for; a name without a slash is that. */
export function typeNameOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** The type URL under which an `Any` carries messages of this type. */
export function typeUrl(schema: DescMessage): string {
  return TYPE_URL + schema.typeName;
}

/** For the generated index: the message descriptor as the generated type. */
export function message<T extends DescMessage>(name: string): T {
  return present(registry.getMessage(name), name) as T;
}

/** For the generated index: the enum as an object of names and numbers, as TypeScript would emit it. */
export function enumeration<T>(name: string): T {
  return tsEnum(present<DescEnum>(registry.getEnum(name), name)) as T;
}

/** For the generated index: the service descriptor as the generated type. */
export function service<T extends DescService>(name: string): T {
  return present(registry.getService(name), name) as T;
}

function present<T>(desc: T | undefined, name: string): T {
  if (desc === undefined) throw new Error(`${name} is not in the registry: generate the API again`);
  return desc;
}
