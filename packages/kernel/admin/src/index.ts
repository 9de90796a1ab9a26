export { Admin, type AdminOptions } from './admin.ts';
export type { Endpoint, EndpointParameter } from './endpoint.ts';
export {
  type AdminRequest,
  type AdminResponse,
  html,
  json,
  jsonText,
  ok,
  Query,
  text,
} from './request.ts';
export { redact } from './redact.ts';
export { type AdminLogEntry, type AdminServer, type AdminServerOptions, startAdminServer } from './server.ts';
export type {
  AdminCircuitBreaker,
  AdminCluster,
  AdminHost,
  AdminHostStats,
  AdminListener,
  AdminMemory,
  AdminLogger,
  AdminOutlierDetector,
  AdminRuntimeLayer,
  AdminState,
  Awaitable,
  DrainListenersOptions,
} from './state.ts';
export { type CommandSurroundings, runValidateUpdate } from './validate-update-command.ts';
