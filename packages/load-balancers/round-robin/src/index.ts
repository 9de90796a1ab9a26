export { EdfScheduler } from './edf-scheduler.ts';
export { roundRobin } from './round-robin.ts';
