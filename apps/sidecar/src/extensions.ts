import { fileAccessLogger } from '@dragoman/access-logger-file';
import { stderrAccessLogger } from '@dragoman/access-logger-stderr';
import { stdoutAccessLogger } from '@dragoman/access-logger-stdout';
import type { Extension } from '@dragoman/core';
import { aggregateCluster } from '@dragoman/discovery-aggregate';
import { consul } from '@dragoman/discovery-consul';
import { dynamicForwardProxyCluster } from '@dragoman/discovery-dynamic-forward-proxy';
import { eds } from '@dragoman/discovery-eds';
import { kubernetes } from '@dragoman/discovery-kubernetes';
import { logicalDns } from '@dragoman/discovery-logical-dns';
import { originalDstCluster } from '@dragoman/discovery-original-dst';
import { staticDiscovery } from '@dragoman/discovery-static';
import { strictDns } from '@dragoman/discovery-strict-dns';
import { caresDnsResolver } from '@dragoman/dns-resolver-cares';
import { allHeadersFormatter } from '@dragoman/formatter-all-headers';
import { metadataFormatter } from '@dragoman/formatter-metadata';
import { reqWithoutQueryFormatter } from '@dragoman/formatter-req-without-query';
import { preserveCase } from '@dragoman/header-formatter-preserve-case';
import { earlyHeaderMutation } from '@dragoman/header-mutation-header-mutation';
import { grpcHealthChecker } from '@dragoman/health-checker-grpc';
import { httpHealthChecker } from '@dragoman/health-checker-http';
import { redisHealthChecker } from '@dragoman/health-checker-redis';
import { tcpHealthChecker } from '@dragoman/health-checker-tcp';
import { httpConnectionManager, upstreamCodec } from '@dragoman/http';
import { adaptiveConcurrency } from '@dragoman/http-filter-adaptive-concurrency';
import { admissionControl } from '@dragoman/http-filter-admission-control';
import { connectGrpcBridge } from '@dragoman/http-filter-connect-grpc-bridge';
import { dynamicForwardProxy } from '@dragoman/http-filter-dynamic-forward-proxy';
import { grpcHttp1Bridge } from '@dragoman/http-filter-grpc-http1-bridge';
import { grpcHttp1ReverseBridge } from '@dragoman/http-filter-grpc-http1-reverse-bridge';
import { grpcJsonTranscoder } from '@dragoman/http-filter-grpc-json-transcoder';
import { grpcStats } from '@dragoman/http-filter-grpc-stats';
import { grpcWeb } from '@dragoman/http-filter-grpc-web';
import { healthCheck } from '@dragoman/http-filter-health-check';
import { onDemand } from '@dragoman/http-filter-on-demand';
import { router } from '@dragoman/http-filter-router';
import { allowListedRoutes } from '@dragoman/internal-redirect-predicate-allow-listed-routes';
import { previousRoutes } from '@dragoman/internal-redirect-predicate-previous-routes';
import { safeCrossScheme } from '@dragoman/internal-redirect-predicate-safe-cross-scheme';
import { httpInspector } from '@dragoman/listener-filter-http-inspector';
import { originalDst } from '@dragoman/listener-filter-original-dst';
import { proxyProtocol } from '@dragoman/listener-filter-proxy-protocol';
import { tlsInspector } from '@dragoman/listener-filter-tls-inspector';
import { clientSideWeightedRoundRobin } from '@dragoman/load-balancer-client-side-weighted-round-robin';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { leastRequest } from '@dragoman/load-balancer-least-request';
import { maglev } from '@dragoman/load-balancer-maglev';
import { overrideHost } from '@dragoman/load-balancer-override-host';
import { pickFirst } from '@dragoman/load-balancer-pick-first';
import { random } from '@dragoman/load-balancer-random';
import { ringHash } from '@dragoman/load-balancer-ring-hash';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { subset } from '@dragoman/load-balancer-subset';
import { wrrLocality } from '@dragoman/load-balancer-wrr-locality';
import { consistentHashingMatcher } from '@dragoman/matcher-consistent-hashing';
import { environmentVariableInput } from '@dragoman/matcher-environment-variable';
import {
  queryParamInput,
  requestHeadersInput,
  requestTrailersInput,
  responseHeadersInput,
  responseTrailersInput,
  statusCodeClassInput,
  statusCodeInput,
} from '@dragoman/matcher-http-inputs';
import { ipMatcher, ipTree } from '@dragoman/matcher-ip';
import { dynamicMetadataInput, metadataMatcher } from '@dragoman/matcher-metadata';
import {
  applicationProtocolInput,
  destinationIpInput,
  destinationPortInput,
  directSourceIpInput,
  filterStateInput,
  serverNameInput,
  sourceIpInput,
  sourcePortInput,
  sourceTypeInput,
  transportProtocolInput,
} from '@dragoman/matcher-network-inputs';
import { runtimeFractionMatcher } from '@dragoman/matcher-runtime-fraction';
import { serverNameTree } from '@dragoman/matcher-server-name';
import { dnsSanInput, subjectInput, uriSanInput } from '@dragoman/matcher-ssl-inputs';
import { directResponse } from '@dragoman/network-filter-direct-response';
import { echo } from '@dragoman/network-filter-echo';
import { tcpProxy } from '@dragoman/network-filter-tcp-proxy';
import { customHeaderDetection } from '@dragoman/original-ip-detection-custom-header';
import { xffDetection } from '@dragoman/original-ip-detection-xff';
import { uriTemplateMatcher, uriTemplateRewriter } from '@dragoman/path-matcher-uri-template';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { cgroupMemory } from '@dragoman/resource-monitor-cgroup-memory';
import { cpuUtilization } from '@dragoman/resource-monitor-cpu-utilization';
import { downstreamConnections } from '@dragoman/resource-monitor-downstream-connections';
import { fixedHeap } from '@dragoman/resource-monitor-fixed-heap';
import { injectedResource } from '@dragoman/resource-monitor-injected-resource';
import { omitCanaryHosts } from '@dragoman/retry-policy-omit-canary-hosts';
import { omitHostMetadata } from '@dragoman/retry-policy-omit-host-metadata';
import { previousHosts } from '@dragoman/retry-policy-previous-hosts';
import { previousPriorities } from '@dragoman/retry-policy-previous-priorities';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';
import { starttls } from '@dragoman/transport-socket-starttls';
import { tls } from '@dragoman/transport-socket-tls';
import { upstreamProxyProtocol } from '@dragoman/transport-socket-upstream-proxy-protocol';

/** Everything that the sidecar can be configured to do: what an assembly of your own may begin with. */
export const extensions: readonly Extension[] = [
  httpConnectionManager,
  router,
  upstreamCodec,
  admissionControl,
  adaptiveConcurrency,
  healthCheck,
  dynamicForwardProxy,
  onDemand,
  connectGrpcBridge,
  grpcHttp1Bridge,
  grpcHttp1ReverseBridge,
  grpcJsonTranscoder,
  grpcStats,
  grpcWeb,
  tcpProxy,
  directResponse,
  echo,
  tlsInspector,
  httpInspector,
  proxyProtocol,
  originalDst,
  rawBuffer,
  tls,
  starttls,
  upstreamProxyProtocol,
  roundRobin,
  leastRequest,
  random,
  pickFirst,
  wrrLocality,
  clientSideWeightedRoundRobin,
  ringHash,
  maglev,
  subset,
  overrideHost,
  clusterProvided,
  staticDiscovery,
  strictDns,
  eds,
  httpHealthChecker,
  tcpHealthChecker,
  grpcHealthChecker,
  redisHealthChecker,
  logicalDns,
  kubernetes,
  consul,
  originalDstCluster,
  aggregateCluster,
  dynamicForwardProxyCluster,
  caresDnsResolver,
  fileAccessLogger,
  stdoutAccessLogger,
  stderrAccessLogger,
  allHeadersFormatter,
  metadataFormatter,
  reqWithoutQueryFormatter,
  uuidRequestId,
  allowListedRoutes,
  previousRoutes,
  safeCrossScheme,
  previousHosts,
  omitCanaryHosts,
  omitHostMetadata,
  previousPriorities,
  xffDetection,
  customHeaderDetection,
  earlyHeaderMutation,
  preserveCase,
  uriTemplateMatcher,
  uriTemplateRewriter,
  requestHeadersInput,
  requestTrailersInput,
  responseHeadersInput,
  responseTrailersInput,
  queryParamInput,
  statusCodeInput,
  statusCodeClassInput,
  destinationIpInput,
  destinationPortInput,
  sourceIpInput,
  sourcePortInput,
  directSourceIpInput,
  sourceTypeInput,
  serverNameInput,
  transportProtocolInput,
  applicationProtocolInput,
  filterStateInput,
  uriSanInput,
  dnsSanInput,
  subjectInput,
  environmentVariableInput,
  dynamicMetadataInput,
  metadataMatcher,
  ipMatcher,
  ipTree,
  serverNameTree,
  runtimeFractionMatcher,
  consistentHashingMatcher,
  fixedHeap,
  cgroupMemory,
  cpuUtilization,
  downstreamConnections,
  injectedResource,
];
