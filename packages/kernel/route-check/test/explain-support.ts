import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { requestHeadersInput } from '@dragoman/matcher-http-inputs';
import { destinationPortInput } from '@dragoman/matcher-network-inputs';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { afterAll } from 'vitest';
import { runExplain } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A filter chain with a connection manager, to go below `filter_chains:`. */
export const manager = (routes: string, more = '') => `
      - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: web
            normalize_path: true
            use_remote_address: true
            ${more}
            route_config: ${routes}
            http_filters:
            - name: envoy.filters.http.router
              typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;

export const address = (port: number) => `{ socket_address: { address: 0.0.0.0, port_value: ${port} } }`;
export const CLUSTERS = `
  clusters:
  - name: beta
    type: STATIC
    load_assignment: { cluster_name: beta, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address(1)} } }] }] }
  - { name: users, type: STRICT_DNS, load_assignment: { cluster_name: users } }`;

export function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** As {@link manager}, with another way to routes. */
export const hcm = (specifier: string) =>
  manager('{}').replace(/route_config: .*/, specifier.replaceAll('\n', `\n${' '.repeat(12)}`));

export async function run(...argv: string[]) {
  let [out, err] = ['', ''];
  const code = await runExplain(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    extensions: [httpConnectionManager, router, uuidRequestId, requestHeadersInput, destinationPortInput],
  });
  return { code, out, err: err.replaceAll(`${folder}/`, '') };
}
