import {
  type Cluster,
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  type ConfigSourceSchema,
  equals,
  type Listener,
  ListenerSchema,
  type MessageShape,
  type ServiceRuntime,
  ServiceRuntimeSchema,
  SecretSchema,
  type DescMessage,
} from '@dragoman/api';
import { ConfigError, ProblemCollector } from '@dragoman/core';
import { endpointByAddress, readAssignment } from '@dragoman/endpoints';
import type { Assembly } from '../assemble.ts';
import { withoutRepeats } from '../distinct-problems.ts';
import { referencesIn } from '../dynamic/references.ts';
import { flatten } from '../runtime/flatten.ts';
import type { ReadResource } from './read-update.ts';

export type CheckedProxy = Pick<
  Assembly,
  'bootstrap' | 'clusters' | 'mainClusters' | 'sources' | 'listeners' | 'dynamic' | 'xds' | 'context'
>;

/** What an update would find. */
export interface CheckedResource {
  readonly type: string;
  readonly name: string;
  /** Compared with what is in place; `unused`: nobody wants a resource of this name. */
  readonly state: 'new' | 'changed' | 'unchanged' | 'unused';
  /** What has to be known about the answer. */
  readonly note?: string;
}

/**
 * Compiles a resource as an update would, and changes nothing.
 * Rejects with ConfigError, paths below the resource.
 */
export async function checkResource(resource: ReadResource, proxy: CheckedProxy): Promise<CheckedResource> {
  const { type, name, message } = resource;
  const answer = (state: CheckedResource['state'], note?: string): CheckedResource => ({
    type: type.typeName,
    name,
    state,
    ...(note === undefined ? {} : { note }),
  });
  switch (type.typeName) {
    case ClusterSchema.typeName:
      return checkCluster(message as Cluster, proxy, answer);
    case ListenerSchema.typeName:
      return checkListener({ ...(message as Listener), name }, proxy, answer);
    case ClusterLoadAssignmentSchema.typeName:
      return checkEndpoints(message as ClusterLoadAssignment, proxy, answer);
    case ServiceRuntimeSchema.typeName:
      return checkRuntime(message as ServiceRuntime, proxy, answer);
    default:
      return checkHeld(resource, proxy, answer);
  }
}

type Answerer = (state: CheckedResource['state'], note?: string) => CheckedResource;

const STAYS = 'the bootstrap has one of this name, which stays whatever a config source says';

function checkCluster(message: Cluster, proxy: CheckedProxy, answer: Answerer): CheckedResource {
  const { clusters, mainClusters, sources } = proxy;
  const problems = new ProblemCollector();
  problems.try('', () => mainClusters.check(message));
  problems.try('', () => sources.checkCluster(message));
  checkSources(message, ClusterSchema, proxy, problems);
  if (isAds(message.edsClusterConfig?.edsConfig, proxy))
    problems.add('eds_cluster_config.eds_config.ads', NO_ADS);
  throwDistinct(problems);
  const before = clusters.get(message.name);
  const isStatic = before !== undefined && !clusters.isDynamic(message.name);
  return answer(stateOf(before, message, ClusterSchema), isStatic ? STAYS : undefined);
}

async function checkListener(
  message: Listener,
  proxy: CheckedProxy,
  answer: Answerer,
): Promise<CheckedResource> {
  const { listeners } = proxy;
  if (message.name === '')
    throw ConfigError.at('name', 'is required: a listener of a config source is changed and removed by it');
  const problems = new ProblemCollector();
  checkSources(message, ListenerSchema, proxy, problems);
  await keepRefusal(listeners.check(message), problems);
  throwDistinct(problems);
  const before = listeners.listeners.find(({ name }) => name === message.name);
  return answer(
    stateOf(before?.message, message, ListenerSchema),
    before !== undefined && !before.dynamic
      ? STAYS
      : 'whether its addresses can be had shows when it is bound',
  );
}

function checkEndpoints(
  message: ClusterLoadAssignment,
  proxy: CheckedProxy,
  answer: Answerer,
): CheckedResource {
  const { clusters, context } = proxy;
  const { clusterName } = message;
  const users = clusters.clusters.filter(
    ({ message: { name, edsClusterConfig: eds } }) =>
      eds !== undefined && (eds.serviceName || name) === clusterName,
  );
  const local = users.some(({ message: { name } }) => name === context.localInfo.localClusterName);
  const { localities } = readAssignment(message, { discovered: true, local });
  const problems = new ProblemCollector();
  for (const { endpoints } of localities)
    for (const endpoint of endpoints) problems.try('', () => endpointByAddress(endpoint, 'EDS'));
  problems.throwIfAny();
  if (users.length === 0) return answer('unused', 'no cluster takes its endpoints by this name');
  return answer('changed', 'what is in use was not compared');
}

function checkRuntime(
  message: ServiceRuntime,
  { bootstrap }: CheckedProxy,
  answer: Answerer,
): CheckedResource {
  const problems = new ProblemCollector();
  problems.try('layer', () => flatten(message.layer));
  problems.throwIfAny();
  const layers = bootstrap.layeredRuntime?.layers ?? [];
  const isUsed = layers.some(
    ({ layerSpecifier: one }) => one.case === 'rtdsLayer' && one.value.name === message.name,
  );
  return isUsed
    ? answer('changed', 'what is in use was not compared')
    : answer('unused', 'no layer of the runtime has this name');
}

/** Routes, scopes, virtual hosts, secrets, configs of filters: who uses it on every worker compiles it. */
async function checkHeld(
  { type, name, message }: ReadResource,
  proxy: CheckedProxy,
  answer: Answerer,
): Promise<CheckedResource> {
  const problems = new ProblemCollector();
  if (type.typeName !== SecretSchema.typeName) checkSources(message, type, proxy, problems);
  const users = proxy.dynamic.book.held.filter((held) => held.covers(type, name));
  for (const held of users) await keepRefusal(held.check(name, message), problems);
  throwDistinct(problems);
  if (users.length === 0)
    return answer('unused', 'nobody who runs would compile it: only its fields were checked');
  const known = users.flatMap(({ resources }) => resources.filter((one) => one.name === name));
  return answer(stateOf(known.find((one) => one.message !== undefined)?.message, message, type));
}

type Source = MessageShape<typeof ConfigSourceSchema>;

const NO_ADS = 'there is no aggregated stream: set dynamic_resources.ads_config in the bootstrap';

function isAds(source: Source | undefined, { xds, bootstrap }: CheckedProxy): boolean {
  if (xds === undefined || bootstrap.dynamicResources?.adsConfig !== undefined) return false;
  return source?.configSourceSpecifier.case === 'ads';
}

/** Whether what it names can be asked for. Nobody is asked. */
function checkSources(
  message: Parameters<typeof referencesIn>[0],
  type: DescMessage,
  proxy: CheckedProxy,
  problems: ProblemCollector,
): void {
  for (const found of referencesIn(message, type))
    if (isAds(found.source as Source, proxy))
      problems.add(
        '',
        `"${found.kind === 'single' ? found.name : found.label}" cannot be asked for: ${NO_ADS}`,
      );
}

/** What users share may be wrong for each of them. */
function throwDistinct({ problems }: ProblemCollector): void {
  if (problems.length > 0) throw new ConfigError(withoutRepeats(problems));
}

async function keepRefusal(check: Promise<void>, { problems }: ProblemCollector): Promise<void> {
  await check.catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  });
}

function stateOf(before: unknown, after: unknown, type: DescMessage): CheckedResource['state'] {
  if (before === undefined) return 'new';
  return equals(type, before as never, after as never) ? 'unchanged' : 'changed';
}
