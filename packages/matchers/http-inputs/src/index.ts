export {
  requestHeadersInput,
  requestTrailersInput,
  responseHeadersInput,
  responseTrailersInput,
} from './header-inputs.ts';
export { queryParamInput } from './query-input.ts';
export { statusCodeClassInput, statusCodeInput } from './status-inputs.ts';
