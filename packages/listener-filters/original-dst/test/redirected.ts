// Runs in a network namespace that redirects connections: asks for the addresses of its arguments through a proxy, and writes what it got.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileAccessLogger } from '@dragoman/access-logger-file';
import { Address } from '@dragoman/core';
import { directResponse } from '@dragoman/network-filter-direct-response';
import { CAPTURE_PORT, eventually, exchange, type JsonObject, startProxy } from '@dragoman/testing';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';
import { originalDst } from '../src/index.ts';

/** What a connection came to. */
export interface Redirected {
  /** The listener's answer. */
  readonly answer: string;
  /** `%DOWNSTREAM_LOCAL_ADDRESS%` */
  readonly local: string;
}

const TYPES = 'type.googleapis.com/envoy.extensions';
const folder = mkdtempSync(join(tmpdir(), 'dragoman-original-dst-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
const logPath = join(folder, 'access.log');

const says = (text: string, match?: JsonObject): JsonObject => ({
  ...(match === undefined ? {} : { filter_chain_match: match }),
  filters: [
    {
      name: 'envoy.filters.network.direct_response',
      typed_config: {
        '@type': `${TYPES}.filters.network.direct_response.v3.Config`,
        response: { inline_string: text },
      },
    },
  ],
});
const listener = (name: string, ip: string, port: number, fields: JsonObject = {}): JsonObject => ({
  name,
  address: { socket_address: { address: ip, port_value: port, ipv4_compat: ip === '::' } },
  filter_chains: [says(name)],
  access_log: [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': `${TYPES}.access_loggers.file.v3.FileAccessLog`,
        path: logPath,
        log_format: { text_format_source: { inline_string: '%DOWNSTREAM_LOCAL_ADDRESS%\n' } },
      },
    },
  ],
  ...fields,
});
const range = (prefix: string, length: number): JsonObject => ({
  prefix_ranges: [{ address_prefix: prefix, prefix_len: length }],
});
const unbound: JsonObject = { bind_to_port: false };

const proxy = await startProxy(
  {
    static_resources: {
      listeners: [
        listener('capture', '::', CAPTURE_PORT, {
          use_original_dst: true,
          filter_chains: [
            says('range', range('203.0.113.0', 24)),
            says('range6', range('2001:db8:2::', 48)),
            says('port', { destination_port: 8089 }),
            says('capture', { destination_port: CAPTURE_PORT }),
            says('capture: another'),
          ],
        }),
        listener('exact', '192.0.2.7', 8080, unbound),
        listener('exact6', '2001:db8::7', 8080, unbound),
        listener('any', '::', 8081, unbound),
      ],
    },
  },
  {
    extensions: [originalDst, directResponse, rawBuffer, fileAccessLogger],
    flags: { concurrency: 1, fileFlushIntervalMs: 1 },
  },
);
const lines = () => readFileSync(logPath, 'utf8').split('\n').slice(0, -1);
const results: Redirected[] = [];
for (const text of process.argv.slice(2)) {
  const { ip, port } = Address.of(text);
  const answer = await exchange({ host: ip, port });
  await eventually(() => lines().length === results.length + 1);
  results.push({ answer, local: lines().at(-1) ?? '' });
}
await proxy.proxy.close();
console.log(JSON.stringify(results));
