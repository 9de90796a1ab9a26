import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { type Cluster, durationMs, type KubernetesCluster, KubernetesClusterSchema } from '@dragoman/api';
import {
  type ApiServerDefaults,
  type ApiServerSettings,
  readApiServer,
  readTypedConfig,
} from '@dragoman/api-discovery';
import { ConfigError, ProblemCollector } from '@dragoman/core';
import type { HostOptions } from './hosts.ts';

/** What of the slices is watched, and how. */
export interface KubernetesOptions extends HostOptions {
  readonly server: ApiServerSettings;
  readonly namespace: string;
  /** Of the slices; not empty. */
  readonly labelSelector: string;
  /** For logs. */
  readonly what: string;
  /** Least duration of a watch, milliseconds. */
  readonly watchMs: number;
  /** Slices in a page of a list. */
  readonly pageSize: number;
  readonly maxEndpoints: number;
}

/** Where a pod finds its API server and account. */
export interface PodEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the service account. */
  readonly folder: string;
}

export const POD: PodEnvironment = {
  env: process.env,
  folder: '/var/run/secrets/kubernetes.io/serviceaccount',
};

/** The label that ties a slice to its service (well-known label of Kubernetes). */
const SERVICE_LABEL = 'kubernetes.io/service-name';
const DEFAULT_WATCH_MS = 300_000;
const DEFAULT_PAGE_SIZE = 100;
const DEFAULT_MAX_ENDPOINTS = 50_000;

/** @throws ConfigError with every problem, paths relative to the cluster */
export function readOptions(cluster: Cluster, pod: PodEnvironment = POD): KubernetesOptions {
  return readTypedConfig(cluster, KubernetesClusterSchema, (config) => read(config, pod));
}

function read(config: KubernetesCluster, pod: PodEnvironment): KubernetesOptions {
  const problems = new ProblemCollector();
  if (config.service === '' && config.labelSelector === '')
    problems.add('service', 'is missing; give it, or a label_selector');
  const server = problems.try('api_server', () =>
    readApiServer(
      config.apiServer,
      serverOfPod(pod),
      'is missing; inside a pod KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say it, and they are not set',
    ),
  );
  const namespace = problems.try('namespace', () => config.namespace || namespaceOfPod(pod));
  problems.throwIfAny();
  const selectors = [
    config.service === '' ? '' : `${SERVICE_LABEL}=${config.service}`,
    config.labelSelector,
  ].filter((one) => one !== '');
  return {
    server: server as ApiServerSettings,
    namespace: namespace as string,
    labelSelector: selectors.join(','),
    what: `${namespace}/${config.service || config.labelSelector}`,
    portName: config.port.case === 'portName' ? config.port.value : undefined,
    portNumber: config.port.case === 'portNumber' ? config.port.value : undefined,
    family: config.addressFamily,
    includeNotReady: config.includeNotReady,
    region: config.region,
    watchMs: durationMs(config.watchTimeout) ?? DEFAULT_WATCH_MS,
    pageSize: config.pageSize ?? DEFAULT_PAGE_SIZE,
    maxEndpoints: config.maxEndpoints ?? DEFAULT_MAX_ENDPOINTS,
  };
}

function serverOfPod({ env, folder }: PodEnvironment): ApiServerDefaults | undefined {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = env;
  if (host === '' || port === '') return undefined;
  return {
    url: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    caFile: join(folder, 'ca.crt'),
    tokenFile: join(folder, 'token'),
  };
}

function namespaceOfPod({ folder }: PodEnvironment): string {
  const path = join(folder, 'namespace');
  let namespace = '';
  try {
    namespace = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw ConfigError.at('', `is missing, and this is no pod: ${(error as Error).message}`);
  }
  // It becomes a part of the URL's path.
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace))
    throw ConfigError.at('', `is missing, and what "${path}" holds is no namespace`);
  return namespace;
}
