import { fileAccessLogger } from '@dragoman/access-logger-file';
import { stderrAccessLogger } from '@dragoman/access-logger-stderr';
import { stdoutAccessLogger } from '@dragoman/access-logger-stdout';
import type { Extension } from '@dragoman/core';
import { logicalDns } from '@dragoman/discovery-logical-dns';
import { staticDiscovery } from '@dragoman/discovery-static';
import { strictDns } from '@dragoman/discovery-strict-dns';
import { caresDnsResolver } from '@dragoman/dns-resolver-cares';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { directResponse } from '@dragoman/network-filter-direct-response';
import { echo } from '@dragoman/network-filter-echo';
import { tcpProxy } from '@dragoman/network-filter-tcp-proxy';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';

/** What the proxies of these tests are assembled from. */
export const EXTENSIONS: readonly Extension[] = [
  httpConnectionManager,
  router,
  echo,
  directResponse,
  tcpProxy,
  rawBuffer,
  roundRobin,
  staticDiscovery,
  strictDns,
  logicalDns,
  caresDnsResolver,
  fileAccessLogger,
  stdoutAccessLogger,
  stderrAccessLogger,
  uuidRequestId,
];
