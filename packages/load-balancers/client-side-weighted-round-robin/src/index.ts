export { clientSideWeightedRoundRobin } from './policy.ts';
