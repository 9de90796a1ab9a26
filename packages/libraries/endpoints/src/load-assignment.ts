import {
  type Cluster,
  type ClusterLoadAssignment,
  type ClusterLoadAssignment_Policy,
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
  durationMs,
  type LbEndpoint,
  type LedsClusterLocalityConfig,
  type LocalityLbEndpoints,
  LocalityLbEndpointsSchema,
} from '@dragoman/api';
import {
  ConfigError,
  type DropOverload,
  type HostListPolicy,
  joinPath,
  type Locality,
  ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';
import { type ConfiguredEndpoint, type NamedEndpoints, readLbEndpoint } from './lb-endpoint.ts';

export interface ConfiguredLocality {
  readonly locality: Locality;
  /** 0: not weighted. */
  readonly weight: number;
  /** 0 … 127. */
  readonly priority: number;
  /** Empty with {@link leds}. */
  readonly endpoints: readonly ConfiguredEndpoint[];
  /** Its endpoints are a collection of their own. Only with {@link AssignmentOptions.discovered}. */
  readonly leds?: LedsClusterLocalityConfig;
  /** Where it stands, below the message that was read. */
  readonly path: string;
}

/** A `ClusterLoadAssignment`, read and checked. */
export interface LoadAssignment {
  readonly localities: readonly ConfiguredLocality[];
  /** Of all hosts together: belongs into each update. */
  readonly policy: HostListPolicy;
  /** `policy.endpoint_stale_after`: milliseconds, 0: never. Only with {@link AssignmentOptions.discovered}. */
  readonly staleAfterMs: number;
}

export interface AssignmentOptions {
  /** Before the paths of errors. Default empty. */
  readonly path?: string;
  /** It comes from a management server: collections and going stale are possible. Default false. */
  readonly discovered?: boolean;
  /** It is of the cluster that this proxy is itself a part of, which has one priority. Default false. */
  readonly local?: boolean;
}

const ASSIGNMENT_FIELDS = new Set(['cluster_name', 'endpoints', 'policy', 'named_endpoints']);
const POLICY_FIELDS = new Set(['overprovisioning_factor', 'weighted_priority_health', 'drop_overloads']);
const DISCOVERED_POLICY_FIELDS = new Set([...POLICY_FIELDS, 'endpoint_stale_after']);
const LOCALITY_FIELDS = new Set([
  'locality',
  'lb_endpoints',
  'load_balancer_endpoints',
  'load_balancing_weight',
  'priority',
]);
const DISCOVERED_LOCALITY_FIELDS = new Set([...LOCALITY_FIELDS, 'leds_cluster_locality_config']);

/** The highest priority of Envoy's API. */
const MAX_PRIORITY = 127;

/**
 * Reads the endpoints of a cluster's config. A cluster without any has no hosts.
 *
 * @throws ConfigError with every problem, paths relative to the cluster
 */
export function readLoadAssignment({ loadAssignment }: Cluster): LoadAssignment {
  return loadAssignment === undefined
    ? { localities: [], policy: {}, staleAfterMs: 0 }
    : readAssignment(loadAssignment, { path: 'load_assignment' });
}

/** @throws ConfigError with every problem */
export function readAssignment(
  assignment: ClusterLoadAssignment,
  options: AssignmentOptions = {},
): LoadAssignment {
  const { path = '', discovered = false } = options;
  const problems = new ProblemCollector();
  const policy = problems.try(path, () => {
    refuseUnsupported(assignment, ClusterLoadAssignmentSchema, ASSIGNMENT_FIELDS);
    return assignment.policy === undefined ? NO_POLICY : readPolicy(assignment.policy, discovered);
  });
  const reader = new LocalityReader(assignment, options, problems);
  const localities = assignment.endpoints.map((group, index) =>
    reader.read(group, joinPath(path, `endpoints[${index}]`)),
  );
  problems.throwIfAny();
  return { localities, ...(policy ?? NO_POLICY) };
}

// --- Policy --------------------------------------------------------------------------------------------------------

type Policy = Pick<LoadAssignment, 'policy' | 'staleAfterMs'>;

const NO_POLICY: Policy = { policy: {}, staleAfterMs: 0 };

function readPolicy(message: ClusterLoadAssignment_Policy, discovered: boolean): Policy {
  const fields = discovered ? DISCOVERED_POLICY_FIELDS : POLICY_FIELDS;
  refuseUnsupported(message, ClusterLoadAssignment_PolicySchema, fields, 'policy', {
    endpoint_stale_after: 'has no effect on endpoints of the configuration itself; remove it',
  });
  const { overprovisioningFactor, weightedPriorityHealth } = message;
  if (overprovisioningFactor === 0)
    throw ConfigError.at('policy.overprovisioning_factor', 'must be more than 0');
  const staleAfterMs = durationMs(message.endpointStaleAfter);
  if (staleAfterMs !== undefined && staleAfterMs <= 0)
    throw ConfigError.at('policy.endpoint_stale_after', 'must be more than 0s');
  const dropOverload = readDropOverload(message);
  return {
    policy: {
      ...(overprovisioningFactor === undefined ? {} : { overprovisioningFactor }),
      ...(weightedPriorityHealth ? { weightedPriorityHealth } : {}),
      ...(dropOverload === undefined ? {} : { dropOverload }),
    },
    staleAfterMs: staleAfterMs ?? 0,
  };
}

/** By `FractionalPercent.DenominatorType`. */
const DENOMINATORS: readonly number[] = [100, 10_000, 1_000_000];

/** As in Envoy there is at most one. Undefined: nothing is dropped. */
function readDropOverload({ dropOverloads }: ClusterLoadAssignment_Policy): DropOverload | undefined {
  const path = 'policy.drop_overloads';
  if (dropOverloads.length > 1)
    throw ConfigError.at(path, `has ${dropOverloads.length} categories; one is possible, as in Envoy`);
  const [only] = dropOverloads;
  if (only === undefined) return undefined;
  if (only.category === '') throw ConfigError.at(`${path}[0].category`, 'is empty');
  const percentage = `${path}[0].drop_percentage`;
  const { numerator = 0, denominator = 0 } = only.dropPercentage ?? {};
  const whole = DENOMINATORS[denominator];
  if (whole === undefined)
    throw ConfigError.at(`${percentage}.denominator`, 'must be HUNDRED, TEN_THOUSAND or MILLION');
  if (numerator > whole)
    throw ConfigError.at(percentage, `must be at most the whole, is ${numerator} of ${whole}`);
  return numerator === 0 ? undefined : { category: only.category, ratio: numerator / whole };
}

// --- Localities ----------------------------------------------------------------------------------------------------

class LocalityReader {
  private readonly options: AssignmentOptions;
  private readonly problems: ProblemCollector;
  private readonly named: NamedEndpoints;

  constructor(
    { namedEndpoints: byName }: ClusterLoadAssignment,
    options: AssignmentOptions,
    problems: ProblemCollector,
  ) {
    this.options = options;
    this.problems = problems;
    this.named = { byName, path: joinPath(options.path ?? '', 'named_endpoints') };
  }

  read(group: LocalityLbEndpoints, path: string): ConfiguredLocality {
    const { problems } = this;
    const { locality, priority, loadBalancingWeight, lbConfig } = group;
    problems.try(path, () => this.check(group));
    return {
      locality: {
        region: locality?.region ?? '',
        zone: locality?.zone ?? '',
        subZone: locality?.subZone ?? '',
      },
      weight: loadBalancingWeight ?? 0,
      priority,
      endpoints: [
        ...this.readList(group.lbEndpoints, `${path}.lb_endpoints`),
        ...(lbConfig.case === 'loadBalancerEndpoints'
          ? this.readList(lbConfig.value.lbEndpoints, `${path}.load_balancer_endpoints.lb_endpoints`)
          : []),
      ],
      ...(lbConfig.case === 'ledsClusterLocalityConfig' ? { leds: lbConfig.value } : {}),
      path,
    };
  }

  private check(group: LocalityLbEndpoints): void {
    const { discovered = false, local = false } = this.options;
    const { lbEndpoints, lbConfig, priority } = group;
    const fields = discovered ? DISCOVERED_LOCALITY_FIELDS : LOCALITY_FIELDS;
    refuseUnsupported(group, LocalityLbEndpointsSchema, fields, '', {
      leds_cluster_locality_config:
        'collections are only possible in clusters of type EDS; write the endpoints into lb_endpoints',
    });
    if (priority > MAX_PRIORITY)
      throw ConfigError.at('priority', `must be at most ${MAX_PRIORITY}, is ${priority}`);
    if (local && priority > 0)
      throw ConfigError.at('priority', `must be 0 in the local cluster, is ${priority}`);
    if (lbConfig.case === undefined || lbEndpoints.length === 0) return;
    throw lbConfig.case === 'loadBalancerEndpoints'
      ? ConfigError.at('load_balancer_endpoints', 'stands beside lb_endpoints; only one of them is possible')
      : ConfigError.at(
          'leds_cluster_locality_config',
          'stands beside lb_endpoints; the endpoints are either here or in a collection',
        );
  }

  private readList(entries: readonly LbEndpoint[], path: string): ConfiguredEndpoint[] {
    const { problems, named } = this;
    const endpoints: ConfiguredEndpoint[] = [];
    entries.forEach((entry, index) => {
      const endpoint = problems.try('', () => readLbEndpoint(entry, `${path}[${index}]`, named));
      if (endpoint !== undefined) endpoints.push(endpoint);
    });
    return endpoints;
  }
}
