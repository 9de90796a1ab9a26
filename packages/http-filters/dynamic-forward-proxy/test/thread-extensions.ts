import { dynamicForwardProxyCluster } from '@dragoman/discovery-dynamic-forward-proxy';
import { caresDnsResolver } from '@dragoman/dns-resolver-cares';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { dynamicForwardProxy } from '../src/index.ts';

/** What worker threads of these tests import. */
export const extensions = [
  httpConnectionManager,
  router,
  clusterProvided,
  dynamicForwardProxyCluster,
  dynamicForwardProxy,
  caresDnsResolver,
  uuidRequestId,
];
