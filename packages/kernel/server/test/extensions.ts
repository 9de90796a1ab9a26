import { fileAccessLogger } from '@dragoman/access-logger-file';
import { stderrAccessLogger } from '@dragoman/access-logger-stderr';
import { stdoutAccessLogger } from '@dragoman/access-logger-stdout';
import type {
  AccessLoggerExtension,
  Extension,
  LogContext,
  NetworkFilter,
  NetworkFilterConnection,
  NetworkFilterExtension,
} from '@dragoman/core';
import { logicalDns } from '@dragoman/discovery-logical-dns';
import { staticDiscovery } from '@dragoman/discovery-static';
import { strictDns } from '@dragoman/discovery-strict-dns';
import { caresDnsResolver } from '@dragoman/dns-resolver-cares';
import { allHeadersFormatter } from '@dragoman/formatter-all-headers';
import { metadataFormatter } from '@dragoman/formatter-metadata';
import { reqWithoutQueryFormatter } from '@dragoman/formatter-req-without-query';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { httpInspector } from '@dragoman/listener-filter-http-inspector';
import { proxyProtocol } from '@dragoman/listener-filter-proxy-protocol';
import { tlsInspector } from '@dragoman/listener-filter-tls-inspector';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { directResponse } from '@dragoman/network-filter-direct-response';
import { echo } from '@dragoman/network-filter-echo';
import { tcpProxy } from '@dragoman/network-filter-tcp-proxy';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { downstreamConnections } from '@dragoman/resource-monitor-downstream-connections';
import { injectedResource } from '@dragoman/resource-monitor-injected-resource';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';
import type { JsonObject } from '@dragoman/testing';

/** What the sidecar is made of. */
export const EXTENSIONS: readonly Extension[] = [
  httpConnectionManager,
  router,
  tcpProxy,
  directResponse,
  echo,
  tlsInspector,
  httpInspector,
  proxyProtocol,
  rawBuffer,
  roundRobin,
  staticDiscovery,
  strictDns,
  logicalDns,
  caresDnsResolver,
  fileAccessLogger,
  stdoutAccessLogger,
  stderrAccessLogger,
  allHeadersFormatter,
  metadataFormatter,
  reqWithoutQueryFormatter,
  uuidRequestId,
  injectedResource,
  downstreamConnections,
];

/** A logger named `capture` that keeps what it is given. */
export function captureLogger(logged: LogContext[]): AccessLoggerExtension {
  return {
    category: 'access-loggers',
    name: 'capture',
    create: () => ({ log: (context) => void logged.push(context) }),
  };
}

/** A network filter made by hand. */
export function networkFilter(
  name: string,
  terminal: boolean,
  make: (connection: NetworkFilterConnection) => NetworkFilter,
): NetworkFilterExtension {
  return { category: 'network-filters', name, terminal, create: () => make };
}

/** A filter chain that answers every connection with a text. */
export function says(text: string, match?: JsonObject): JsonObject {
  return {
    ...(match === undefined ? {} : { filter_chain_match: match }),
    filters: [
      {
        name: 'envoy.filters.network.direct_response',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config',
          response: { inline_string: text },
        },
      },
    ],
  };
}

/** A chain of filters that are found by name. */
export function chainOf(...names: string[]): JsonObject {
  return { filters: names.map((name) => ({ name })) };
}
