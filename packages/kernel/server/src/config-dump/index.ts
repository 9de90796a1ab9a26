import { BootstrapConfigDumpSchema, create, type Message } from '@dragoman/api';
import { dumpClusters } from './clusters.ts';
import { dumpExtensions } from './extensions.ts';
import { dumpListeners } from './listeners.ts';
import { type DumpedParts, timestamp } from './parts.ts';
import { dumpRoutes, dumpScopes } from './routes.ts';
import { dumpSecrets } from './secrets.ts';

export { endpointsDump } from './endpoints.ts';
export { type DumpedParts, ServerStatus } from './parts.ts';

/**
 * The parts of `/config_dump` in Envoy's order. What was put in place while the proxy ran is dynamic, also where it took the place of a
 * static one.
 */
export function configDumps(parts: DumpedParts): Message[] {
  const { bootstrap, loadedAt } = parts;
  return [
    create(BootstrapConfigDumpSchema, { bootstrap, lastUpdated: timestamp(loadedAt) }),
    dumpClusters(parts),
    ...dumpExtensions(parts),
    dumpListeners(parts),
    dumpScopes(parts),
    dumpRoutes(parts),
    dumpSecrets(parts),
  ];
}
