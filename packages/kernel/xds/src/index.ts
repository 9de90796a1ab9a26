export { createXds } from './create-xds.ts';
export type { RefusedUpdate, ResourceStatus } from './known-resources.ts';
export type { Xds, XdsOptions } from './options.ts';
export type { ResourceReport, TypeReport, XdsReport } from './report.ts';
