export {
  type Condition,
  DEAD,
  during,
  failing,
  type FlappingOptions,
  flapping,
  ill,
  schedule,
  SILENT,
  type Span,
  type Timeline,
  WELL,
} from './condition.ts';
export type { HostModel, SimHost } from './host.ts';
export { type HostGroup, HostList } from './host-list.ts';
export { type Imbalance, imbalance } from './imbalance.ts';
export { constant, exponential, type Latency, lognormal } from './latency.ts';
export type { Network } from './network.ts';
export type { OpenLoop, OpenLoopOptions } from './open-loop.ts';
export type { SimProxy, ProxyOptions } from './proxy.ts';
export { percentile, Results, type Summary, type Window } from './results.ts';
export { Simulation, type SimulationOptions } from './simulation.ts';
export type { Outcome } from './stream.ts';
