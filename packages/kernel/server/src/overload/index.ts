export { createOverload, type Overload } from './create-overload.ts';
export type { OverloadHandle } from './page.ts';
export { WorkerOverload } from './worker-overload.ts';
