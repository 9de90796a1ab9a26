import { type LeastRequest, LeastRequest_SelectionMethod, LeastRequestSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerContextForCluster,
  type LocalityRouting,
  type PickerPolicy,
  type RandomSource,
} from '@dragoman/core';
import {
  EdfPicker,
  NO_HOST,
  readLocalityRouting,
  runtimeNumber,
  sameWeights,
  SlowStart,
} from '@dragoman/load-balancing';
import { ChoicePicker, ScanPicker } from './pickers.ts';

/** Envoy's defaults of `LeastRequest`. */
const DEFAULT_CHOICES = 2;
const DEFAULT_BIAS = 1;

class LeastRequestPolicy implements PickerPolicy {
  readonly locality: LocalityRouting;
  private readonly random: RandomSource;
  private readonly seed: number;
  private readonly slowStart: SlowStart | undefined;
  /** How many hosts are drawn; undefined: all are looked at. */
  private readonly choices: number | undefined;
  private readonly bias: () => number;

  constructor(config: LeastRequest, { random, clock, runtime }: LoadBalancerContextForCluster) {
    this.random = random;
    this.seed = random.next();
    this.locality = readLocalityRouting(config.localityLbConfig);
    this.slowStart = SlowStart.of(config.slowStartConfig, clock, runtime);
    const scans =
      config.selectionMethod === LeastRequest_SelectionMethod.FULL_SCAN || config.enableFullScan === true;
    this.choices = scans ? undefined : (config.choiceCount ?? DEFAULT_CHOICES);
    this.bias = runtimeNumber(config.activeRequestBias, DEFAULT_BIAS, runtime);
  }

  createPicker(hosts: readonly Host[]): HostPicker {
    if (hosts.length === 0) return NO_HOST;
    const { choices, random, slowStart } = this;
    const slow = slowStart?.concerns(hosts) ? slowStart : undefined;
    if (hosts.length > 1 && (slow !== undefined || !sameWeights(hosts)))
      return new EdfPicker(hosts, this.seed, weighing(biasOf(this.bias()), slow));
    return choices === undefined ? new ScanPicker(hosts, random) : new ChoicePicker(hosts, random, choices);
  }
}

/** Read when the hosts change, as in Envoy. Of a value that makes no sense nothing is made. */
function biasOf(value: number): number {
  return value >= 0 ? value : DEFAULT_BIAS;
}

/** weight / (open requests + 1) ^ bias, less while the host starts slowly. */
function weighing(bias: number, slow: SlowStart | undefined): (host: Host) => number {
  const loaded = (host: Host): number => {
    const weight = Math.max(1, host.weight);
    const active = host.activeRequests + 1;
    return bias === 1 ? weight / active : weight / active ** bias;
  };
  return slow === undefined ? loaded : (host) => slow.scaled(loaded(host), host);
}

/** The host with the fewest open requests: of a few that are drawn, or of all. */
export const leastRequest = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.least_request',
  config: LeastRequestSchema,
  lbPolicy: 'LEAST_REQUEST',
  create: (config, context) => new LeastRequestPolicy(config, context),
});
