import { StructSchema } from '@dragoman/api';
import type { TransportSocketExtension } from '@dragoman/core';
import { clusterConfig, RawUpstream } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { startRouter } from './support.ts';

/** Plain bytes that count as encrypted. */
const secret: TransportSocketExtension = {
  category: 'transport-sockets',
  name: 'secret',
  config: StructSchema,
  createUpstream: () => ({ name: 'secret', secure: true }),
};

const SECRET = {
  transport_socket: {
    name: 'secret',
    typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
  },
};
const HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** So that the request line shows the scheme. */
const WHOLE_URL = {
  typed_extension_protocol_options: {
    [HTTP]: {
      '@type': `type.googleapis.com/${HTTP}`,
      explicit_http_config: { http_protocol_options: { send_fully_qualified_url: true } },
    },
  },
};

describe('scheme_header_transformation, and the scheme upstream', () => {
  it.each([
    ['kept', undefined, {}, 'http://a.test/', 'http'],
    ['kept', undefined, SECRET, 'https://a.test/', 'https'],
    ['kept, from x-forwarded-proto', undefined, {}, '/', 'https'],
    ['overwritten', { scheme_to_overwrite: 'https' }, {}, 'http://a.test/', 'https'],
    ['of the connection', { match_upstream: true }, {}, 'https://a.test/', 'http'],
    ['of the connection', { match_upstream: true }, {}, '/', 'http'],
    ['of an encrypted connection', { match_upstream: true }, SECRET, 'http://a.test/', 'https'],
    [
      'overwritten, whatever the connection',
      { match_upstream: true, scheme_to_overwrite: 'https' },
      {},
      'http://a.test/',
      'https',
    ],
  ])('%s: %o', async (_what, transformation, cluster, target, scheme) => {
    let line = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      line = (await connection.readUntil('\r\n\r\n')).toString().split('\r\n')[0] ?? '';
      await connection.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
    await using proxied = await startRouter(
      {
        clusters: { web: { ...clusterConfig('web', [upstream.port]), ...WHOLE_URL, ...cluster } as never },
        manager: (transformation === undefined
          ? {}
          : { scheme_header_transformation: transformation }) as never,
      },
      [secret],
    );
    const client = await proxied.proxy.connect();
    await client.write(`GET ${target} HTTP/1.1\r\nhost: a.test\r\nx-forwarded-proto: https\r\n\r\n`);
    await client.readUntil('\r\n\r\n');
    client.end();
    expect(line).toBe(`GET ${scheme}://a.test/ HTTP/1.1`);
  });
});
