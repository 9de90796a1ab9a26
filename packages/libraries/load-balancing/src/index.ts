export { CursorPicker } from './cursor-picker.ts';
export { EdfPicker, NO_HOST, sameWeights } from './edf-picker.ts';
export { EdfScheduler } from './edf-scheduler.ts';
export { isExcluded } from './health.ts';
export { hasLabels, type Label, LB_METADATA } from './labels.ts';
export { DEFAULT_LOCALITY_ROUTING, readLocalityRouting } from './locality.ts';
export { runtimeNumber } from './runtime-number.ts';
export { SlowStart } from './slow-start.ts';
export { turnPicker } from './turn-picker.ts';
