export type {
  ActionExplanation,
  ClusterHosts,
  FilterExplanation,
  HeaderChange,
  HttpExplanation,
  Passed,
  PossibleCluster,
  ReplyExplanation,
  Setting,
} from './explanation.ts';
export { ExplainedManagers, explainHttp, type ExplainHttpOptions } from './explain-http.ts';
export type { AskedRequest } from './why-not.ts';
