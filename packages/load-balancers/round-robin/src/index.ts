export { roundRobin } from './round-robin.ts';
