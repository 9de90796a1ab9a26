export { createXds } from './create-xds.ts';
export type { RefusedUpdate, ResourceStatus } from './known-resources.ts';
export type {
  OpenedSource,
  OpenSource,
  OtherSources,
  ResponseSink,
  SourceType,
  Xds,
  XdsOptions,
} from './options.ts';
export type { ResourceReport, TypeReport, XdsReport } from './report.ts';
export type { UnknownFields } from './resource-reader.ts';
export { formatXdstp, parseXdstp, type XdstpDirective, type XdstpName } from './xdstp.ts';
