// A proxy inside a program of your own: started, asked, ended. `node examples/embedding/proxy.ts` after a build.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxy } from '@dragoman/server';
import { extensions } from 'dragoman';

/** Answers through a proxy on a port that the system chooses. */
export async function demonstrate(): Promise<{ status: number; body: string; forwarded: number }> {
  const upstream = createServer((request, response) => response.end(`you asked for ${request.url}\n`));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  try {
    await using proxy = await createProxy({
      bootstrap: bootstrap((upstream.address() as AddressInfo).port),
      extensions,
    });
    const response = await fetch(`http://${proxy.address('ingress').text}/hello`);
    const body = await response.text();
    const forwarded = proxy.stats.counters.get('cluster.web.upstream_rq_total')?.value ?? 0;
    return { status: response.status, body, forwarded };
  } finally {
    upstream.close();
  }
}

const bootstrap = (port: number): string => `
static_resources:
  listeners:
    - name: ingress
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{ match: { prefix: / }, route: { cluster: web } }]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - name: web
      load_assignment:
        cluster_name: web
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }
`;

if (import.meta.main) console.log(await demonstrate());
