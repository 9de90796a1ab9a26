import { dynamicForwardProxyCluster } from '@dragoman/discovery-dynamic-forward-proxy';
import { strictDns } from '@dragoman/discovery-strict-dns';
import { caresDnsResolver } from '@dragoman/dns-resolver-cares';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { dynamicForwardProxy } from '../src/index.ts';

/** What worker threads of these tests import. */
export const extensions = [
  httpConnectionManager,
  router,
  clusterProvided,
  dynamicForwardProxyCluster,
  strictDns,
  roundRobin,
  dynamicForwardProxy,
  caresDnsResolver,
  uuidRequestId,
];
