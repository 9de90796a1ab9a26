export type {
  ActionExplanation,
  ClusterHosts,
  FilterExplanation,
  HeaderChange,
  HttpExplanation,
  Passed,
  PossibleCluster,
  Setting,
} from './explanation.ts';
export { explainHttp, type ExplainHttpOptions } from './explain-http.ts';
export type { AskedRequest } from './why-not.ts';
