import type { Message } from '@bufbuild/protobuf';
import { ClusterLoadAssignmentSchema } from './gen/index.ts';

/** The name that stands in a resource of xDS: `cluster_name` of endpoints, else `name`; empty where it holds none. */
export function nameOfResource(message: Message): string {
  const { clusterName, name } = message as Message & { clusterName?: unknown; name?: unknown };
  const found = message.$typeName === ClusterLoadAssignmentSchema.typeName ? clusterName : name;
  return typeof found === 'string' ? found : '';
}
