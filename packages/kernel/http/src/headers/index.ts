export {
  type ChooseClientCertPolicy,
  type ClientCertDetails,
  ClientCertPolicy,
  clientCertElement,
  type ForwardClientCert,
} from './client-certificate.ts';
export { DateHeader } from './date-header.ts';
export { isUpgrade, removeNominated, stripRequestHopByHop, stripResponseHopByHop } from './hop-by-hop.ts';
export {
  compileInternalAddresses,
  DEFAULT_INTERNAL_RANGES,
  type InternalAddressOptions,
  isLoopback,
} from './internal-address.ts';
export { compileProxyStatus, type SetProxyStatus } from './proxy-status.ts';
export {
  BAD_CONNECTION,
  CONNECTION_HEADER_REJECTED,
  compileRequestMutation,
  type MutationResult,
  RequestMutation,
  type RequestMutationOptions,
} from './request-mutation.ts';
export {
  compileResponseMutation,
  type ResponseMutation,
  type ResponseMutationOptions,
} from './response-mutation.ts';
export { appendVia } from './via.ts';
