import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect as plainConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import {
  DAY_MS,
  eventually,
  exchange,
  HttpUpstream,
  parseResponse,
  reply,
  TestAuthority,
  type TestCertificate,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  address,
  bootstrap,
  cluster,
  fileLog,
  httpListener,
  type Message,
  tcpProxyListener,
} from './support/config.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const TYPES = 'type.googleapis.com/envoy.extensions';
const root = TestAuthority.root();
const between = root.intermediate();
const names = (...dns: string[]) => dns.map((name) => ({ dns: name }));
const server = between.issue({ subject: 'CN=server', san: names('a.example') });
const rsa = root.issue({ subject: 'CN=rsa', key: 'rsa2048', san: names('a.example') });
const shop = root.issue({ subject: 'CN=shop', san: names('shop.example') });
const client = between.issue({ subject: 'CN=client', san: [{ uri: 'spiffe://test/client' }] });
const proxyItself = root.issue({ subject: 'CN=proxy', san: names('proxy.example') });

const own = (certificate: TestCertificate): Message => ({
  certificate_chain: { inline_string: certificate.chainPem },
  private_key: { inline_string: certificate.keyPem },
});
const trusted: Message = { trusted_ca: { inline_string: root.pem } };
const socketOf = (message: string, fields: Message): Message => ({
  transport_socket: {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': `${TYPES}.transport_sockets.tls.v3.${message}`, ...fields },
  },
});
/** Fields of a filter chain. */
const downstream = (common: Message, more: Message = {}): Message =>
  socketOf('DownstreamTlsContext', { common_tls_context: common, ...more });
/** Fields of a cluster. */
const upstream = (common: Message, more: Message = {}): Message =>
  socketOf('UpstreamTlsContext', { common_tls_context: common, ...more });
const inspector: Message = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: { '@type': `${TYPES}.filters.listener.tls_inspector.v3.TlsInspector` },
};
const json = (fields: Record<string, string>): Message => ({ json_format: fields });

async function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: root.pem, servername: 'a.example', ...options });
  await within(once(socket, 'secureConnect'), 'the handshake');
  socket.on('error', () => {});
  return socket;
}

/** One request over a TLS connection of its own. */
async function get(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ readonly status: number; readonly body: string; readonly subject: string }> {
  const socket = await open(port, options);
  const subject = socket.getPeerX509Certificate()?.subject ?? '';
  let bytes = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data]);
  });
  socket.end('GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n');
  await within(once(socket, 'close'), 'the end');
  const response = parseResponse(bytes, true);
  if (response === undefined) throw new Error(`cut off: ${bytes.toString('latin1')}`);
  return { status: response.status, body: response.body.toString(), subject };
}

/** Why a client did not get through, or was cut off. */
async function refusal(port: number, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ca: root.pem, servername: 'a.example', ...options });
  socket.on('data', () => {});
  const outcome = await within(
    new Promise<string>((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on('close', () => resolve('closed'));
    }),
    'the refusal',
  );
  socket.destroy();
  return outcome;
}

const logged = (proxy: TestProxy, count = 1): Promise<Record<string, unknown>[]> =>
  proxy.log(count) as unknown as Promise<Record<string, unknown>[]>;

describe('termination', () => {
  it('serves HTTP, and logs what the session is', async () => {
    const plain = await HttpUpstream.start(reply({ body: 'hello' }));
    const format = json({
      version: '%DOWNSTREAM_TLS_VERSION%',
      cipher: '%DOWNSTREAM_TLS_CIPHER%',
      group: '%DOWNSTREAM_TLS_GROUP%',
      sni: '%REQUESTED_SERVER_NAME%',
      local: '%DOWNSTREAM_LOCAL_SUBJECT% %DOWNSTREAM_LOCAL_DNS_SAN%',
      peer: '%DOWNSTREAM_PEER_SUBJECT%',
      failure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
    });
    await withProxy(
      { upstream: plain, logFormat: format, chain: downstream({ tls_certificates: [own(server)] }) },
      async (proxy) => {
        for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const)
          expect(await get(proxy.port, { maxVersion })).toEqual({
            status: 200,
            body: 'hello',
            subject: 'CN=server',
          });
        const [first, second] = await logged(proxy, 2);
        const shared = {
          group: 'X25519',
          sni: 'a.example',
          local: 'CN=server a.example',
          peer: null,
          failure: null,
        };
        expect(first).toEqual({ ...shared, version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' });
        expect(second).toEqual({ ...shared, version: 'TLSv1.2', cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
        expect(plain.requests.map((request) => request.header('x-forwarded-proto'))).toEqual([
          'https',
          'https',
        ]);
        const prefix = 'listener.127.0.0.1_0.ssl';
        expect(proxy.stat(`${prefix}.handshake`)).toBe(2);
        expect(proxy.stat(`${prefix}.versions.TLSv1.3`)).toBe(1);
      },
    );
  });

  it('has certificates on both sides, downstream and upstream', async () => {
    const behind: HttpsServer = createHttpsServer(
      { cert: shop.chainPem, key: shop.keyPem, ca: root.pem, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerX509Certificate() as { subject: string };
        response.end(`${(request.socket as TLSSocket & { servername: string }).servername} ${subject}`);
      },
    );
    behind.listen(0, '127.0.0.1');
    await once(behind, 'listening');
    const { port } = behind.address() as AddressInfo;
    try {
      await withProxy(
        {
          upstream: port,
          upstreamFields: upstream(
            { tls_certificates: [own(proxyItself)], validation_context: trusted },
            { sni: 'shop.example', auto_sni_san_validation: true },
          ),
          chain: downstream(
            { tls_certificates: [own(server)], validation_context: trusted },
            { require_client_certificate: true },
          ),
          logFormat: json({
            peer: '%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_ISSUER%',
            hash: '%DOWNSTREAM_PEER_FINGERPRINT_256%',
            upstream: '%UPSTREAM_PEER_SUBJECT% %UPSTREAM_TLS_VERSION% %UPSTREAM_LOCAL_DNS_SAN%',
          }),
        },
        async (proxy) => {
          const answer = await get(proxy.port, { cert: client.chainPem, key: client.keyPem });
          expect(answer.body).toBe('shop.example CN=proxy');
          expect(await logged(proxy)).toEqual([
            {
              peer: 'CN=client spiffe://test/client CN=Test Intermediate',
              hash: expect.stringMatching(/^[0-9a-f]{64}$/),
              // Clients go up to TLS 1.2 unless they are told otherwise, as Envoy's.
              upstream: 'CN=shop TLSv1.2 proxy.example',
            },
          ]);
          expect(proxy.stat('cluster.upstream.ssl.handshake')).toBe(1);
        },
      );
    } finally {
      behind.closeAllConnections();
      behind.close();
    }
  });
});

const expired = root.issue({
  san: names('a.example'),
  notBefore: Date.now() - 9 * DAY_MS,
  notAfter: Date.now() - DAY_MS,
});
const stranger = TestAuthority.root({ subject: 'CN=Stranger' }).issue({ san: names('a.example') });
const VERIFY =
  'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:';
const AT_0 = `${VERIFY}_X509_verify_cert:_certificate_verification_error_at_depth_0:`;
const identity = ({ chainPem, keyPem }: TestCertificate): SecureContextOptions => ({
  cert: chainPem,
  key: keyPem,
});

describe('a client that is refused', () => {
  it.each<[string, ConnectionOptions | string, string, string]>([
    [
      'without a certificate',
      {},
      'TLS_error:|268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:peer_did_not_provide_required_client_certificate:TLS_error_end',
      'fail_verify_no_cert',
    ],
    [
      'with an expired certificate',
      identity(expired),
      `${AT_0}_certificate_has_expired:TLS_error_end`,
      'fail_verify_error',
    ],
    [
      'of a stranger',
      identity(stranger),
      `${AT_0}_unable_to_get_local_issuer_certificate:TLS_error_end`,
      'fail_verify_error',
    ],
    [
      'of another name',
      identity(shop),
      `${VERIFY}_SAN_matcher,_certificate_SANs_are_[shop.example]:TLS_error_end`,
      'fail_verify_san',
    ],
    [
      'with another version',
      { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
      'TLS_error:|268435696:SSL_routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL:TLS_error_end',
      'connection_error',
    ],
    [
      'with other ciphers',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
      'TLS_error:|268435640:SSL_routines:OPENSSL_internal:NO_SHARED_CIPHER:TLS_error_end',
      'connection_error',
    ],
    [
      'that speaks HTTP',
      'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
      'TLS_error:|268435612:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end',
      'connection_error',
    ],
    [
      'that speaks something else',
      'SSH-2.0-x\r\n',
      'TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end',
      'connection_error',
    ],
  ])('%s is in the listener’s log', async (_, how, reason, counter) => {
    const plain = await HttpUpstream.start();
    const rules = {
      ...trusted,
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: 'spiffe://test/' } }],
    };
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-e2e-'));
    const path = join(folder, 'connections.log');
    const format = json({
      failure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
      flags: '%RESPONSE_FLAGS%',
      received: '%BYTES_RECEIVED%',
      details: '%CONNECTION_TERMINATION_DETAILS%',
    });
    await withProxy(
      {
        upstream: plain,
        chain: downstream(
          { tls_certificates: [own(server)], validation_context: rules },
          { require_client_certificate: true },
        ),
        listener: { access_log: [fileLog(path, format)] },
      },
      async (proxy) => {
        if (typeof how === 'string') expect(await exchange({ port: proxy.port }, how)).toBe('');
        else expect(await refusal(proxy.port, how)).not.toBe('');
        await eventually(() => {
          expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
            failure: reason,
            flags: '-',
            details: null,
          });
        });
        expect(proxy.stat(`listener.127.0.0.1_0.ssl.${counter}`)).toBe(1);
        expect(proxy.stat('listener.127.0.0.1_0.ssl.handshake')).toBe(0);
        expect(plain.requests).toHaveLength(0);
        expect(proxy.rawLog()).toEqual([]);
      },
    );
    rmSync(folder, { recursive: true });
  });
});

describe('a server that is refused', () => {
  const tls = (certificate: TestCertificate, more: SecureContextOptions = {}) => {
    const made = createHttpsServer({ ...identity(certificate), ...more }, (_, response) =>
      response.end('secret'),
    );
    return listening(made);
  };
  async function listening<S extends HttpsServer>(made: S): Promise<{ port: number; stop(): Promise<void> }> {
    made.on('tlsClientError', () => {});
    made.listen(0, '127.0.0.1');
    await once(made, 'listening');
    return {
      port: (made.address() as AddressInfo).port,
      async stop() {
        made.closeAllConnections();
        await new Promise((resolve) => made.close(resolve));
      },
    };
  }

  it.each<[string, () => Promise<{ port: number; stop(): Promise<void> }>, string]>([
    ['with an expired certificate', () => tls(expired), `${AT_0}_certificate_has_expired:TLS_error_end`],
    ['of a stranger', () => tls(stranger), `${AT_0}_unable_to_get_local_issuer_certificate:TLS_error_end`],
    [
      'of another name',
      () => tls(shop),
      `${VERIFY}_SAN_matcher,_certificate_SANs_are_[shop.example]:TLS_error_end`,
    ],
    [
      'with another version',
      () => tls(server, { minVersion: 'TLSv1.3' }),
      'TLS_error:|268436526:SSL_routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end',
    ],
    [
      'with other ciphers',
      () => tls(server, { ciphers: 'ECDHE-ECDSA-AES128-SHA', maxVersion: 'TLSv1.2' }),
      'TLS_error:|268436496:SSL_routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE|268435610:SSL_routines:OPENSSL_internal:HANDSHAKE_FAILURE_ON_CLIENT_HELLO:TLS_error_end',
    ],
    [
      'that speaks plain HTTP',
      () => HttpUpstream.start(reply({ body: 'secret' })),
      'TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end',
    ],
  ])('%s makes a 503 that says why', async (_, start, reason) => {
    const peer = await start();
    const format = json({
      status: '%RESPONSE_CODE%',
      flags: '%RESPONSE_FLAGS%',
      failure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
      details: '%RESPONSE_CODE_DETAILS%',
    });
    await withProxy(
      {
        upstream: peer,
        logFormat: format,
        upstreamFields: upstream(
          { validation_context: trusted },
          { sni: 'a.example', auto_sni_san_validation: true },
        ),
      },
      async (proxy) => {
        const response = await proxy.get();
        expect(response.status).toBe(503);
        expect(response.body.toString()).not.toContain('secret');
        expect(response.body.toString()).toContain('transport failure reason: TLS_error:');
        const [line] = await logged(proxy);
        expect(line).toMatchObject({ status: 503, flags: 'UF', failure: reason });
        expect(line?.['details']).toContain('remote_connection_failure|TLS_error:');
        expect(proxy.stat('cluster.upstream.upstream_cx_connect_fail')).toBe(1);
        expect(proxy.stat('cluster.upstream.ssl.handshake')).toBe(0);
      },
    );
  });
});

describe('certificates', () => {
  it('are swapped under load, and no client notices but by the certificate', async () => {
    const plain = await HttpUpstream.start(reply({ body: 'hello' }));
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-e2e-'));
    const write = (certificate: TestCertificate) => {
      writeFileSync(join(folder, 'tls.crt'), certificate.chainPem);
      writeFileSync(join(folder, 'tls.key'), certificate.keyPem);
    };
    write(server);
    const files = {
      certificate_chain: { filename: join(folder, 'tls.crt') },
      private_key: { filename: join(folder, 'tls.key') },
    };
    await withProxy({ upstream: plain, chain: downstream({ tls_certificates: [files] }) }, async (proxy) => {
      const seen = new Map<string, number>();
      let stop = false;
      const kept = await open(proxy.port);
      const load = async () => {
        while (!stop) {
          const { status, body, subject } = await get(proxy.port);
          expect([status, body]).toEqual([200, 'hello']);
          seen.set(subject, (seen.get(subject) ?? 0) + 1);
        }
      };
      const running = Promise.all([load(), load(), load()]);
      try {
        for (const [certificate, name] of [
          [rsa, 'CN=rsa'],
          [server, 'CN=server'],
          [rsa, 'CN=rsa'],
        ] as const) {
          const before = seen.get(name) ?? 0;
          write(certificate);
          await eventually(() => (seen.get(name) ?? 0) > before + 2);
        }
      } finally {
        stop = true;
      }
      await running;
      expect([...seen.keys()].sort()).toEqual(['CN=rsa', 'CN=server']);
      // The connection that was there before goes on.
      kept.write('GET / HTTP/1.1\r\nhost: a.example\r\n\r\n');
      expect(String((await within(once(kept, 'data'), 'an answer'))[0])).toContain('200 OK');
      kept.destroy();
      expect(
        proxy.stat('listener.127.0.0.1_0.server_ssl_socket_factory.ssl_context_update_by_sds'),
      ).toBeGreaterThan(2);
    });
    rmSync(folder, { recursive: true });
  });

  it('are chosen by what clients ask for, and can verify', async () => {
    const plain = await HttpUpstream.start();
    await withProxy(
      { upstream: plain, chain: downstream({ tls_certificates: [own(rsa), own(server), own(shop)] }) },
      async (proxy) => {
        const rsaOnly: ConnectionOptions = {
          sigalgs: 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256:ecdsa_secp384r1_sha384',
        };
        const subject = async (options: ConnectionOptions) => (await get(proxy.port, options)).subject;
        expect(await subject({})).toBe('CN=server');
        expect(await subject({ ...rsaOnly, rejectUnauthorized: false })).toBe('CN=rsa');
        expect(await subject({ servername: 'shop.example' })).toBe('CN=shop');
        const unnamed = { servername: '', checkServerIdentity: () => undefined, rejectUnauthorized: false };
        expect(await subject(unnamed)).toBe('CN=server');
        expect(await subject({ ...unnamed, ...rsaOnly })).toBe('CN=rsa');
        expect(
          await subject({ ...unnamed, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
        ).toBe('CN=rsa');
      },
    );
  });
});

describe('one port', () => {
  const says = (text: string): Message => ({
    name: 'envoy.filters.network.direct_response',
    typed_config: {
      '@type': `${TYPES}.filters.network.direct_response.v3.Config`,
      response: { inline_string: text },
    },
  });
  const pass = (to: string): Message =>
    (tcpProxyListener(to)['filter_chains'] as [{ filters: [Message] }])[0].filters[0];

  it('has chains for names, protocols, other TLS, and plaintext, and passes on what is not its own', async () => {
    const behind = createHttpsServer(identity(stranger), (_, response) => response.end('from behind'));
    behind.listen(0, '127.0.0.1');
    await once(behind, 'listening');
    const chains: Message[] = [
      {
        filter_chain_match: { server_names: ['a.example'], application_protocols: ['h2'] },
        filters: [says('a h2')],
        ...downstream({ tls_certificates: [own(server)], alpn_protocols: ['h2'] }),
      },
      {
        filter_chain_match: { server_names: ['a.example'] },
        filters: [says('a')],
        ...downstream({ tls_certificates: [own(rsa)] }),
      },
      {
        filter_chain_match: { server_names: ['*.behind.example'] },
        filters: [pass('behind')],
      },
      {
        filter_chain_match: { transport_protocol: 'tls' },
        filters: [says('other')],
        ...downstream({ tls_certificates: [own(shop)] }),
      },
      { filter_chain_match: { transport_protocol: 'raw_buffer' }, filters: [says('plain')] },
    ];
    const edge: Message = {
      name: 'edge',
      address: address(0),
      listener_filters: [inspector],
      filter_chains: chains,
    };
    const plain = await HttpUpstream.start();
    try {
      await withProxy(
        {
          upstream: plain,
          listeners: [edge],
          clusters: [cluster('behind', [(behind.address() as AddressInfo).port])],
        },
        async (proxy) => {
          const port = proxy.portOf('edge');
          const hear = async (options: ConnectionOptions) => {
            const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
            const [data] = (await within(once(socket, 'data'), 'an answer')) as [Buffer];
            const { subject } = socket.getPeerX509Certificate() as { subject: string };
            socket.destroy();
            return `${data} ${subject} ${socket.alpnProtocol}`;
          };
          expect(await hear({ servername: 'a.example', ALPNProtocols: ['h2', 'http/1.1'] })).toBe(
            'a h2 CN=server h2',
          );
          expect(await hear({ servername: 'A.EXAMPLE', ALPNProtocols: ['http/1.1'] })).toBe('a CN=rsa false');
          expect(await hear({ servername: 'b.example' })).toBe('other CN=shop false');
          expect(await hear({})).toBe('other CN=shop false');
          expect(await exchange({ port }, 'hello\n')).toBe('plain');
          const passed = await get(port, { servername: 'x.behind.example', rejectUnauthorized: false });
          expect(passed).toMatchObject({
            body: expect.stringContaining('from behind'),
            subject: 'CN=Test Leaf',
          });
        },
      );
    } finally {
      behind.closeAllConnections();
      behind.close();
    }
  });
});

describe('attacks', () => {
  it('with connections that stop in mid-handshake cost nobody else anything', async () => {
    const plain = await HttpUpstream.start(reply({ body: 'hello' }));
    await withProxy(
      {
        upstream: plain,
        chain: {
          transport_socket_connect_timeout: '0.3s',
          ...downstream({ tls_certificates: [own(server)] }),
        },
      },
      async (proxy) => {
        const idle: Socket[] = [];
        for (const begin of ['', '\x16', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 'GE'])
          for (let i = 0; i < 20; i++) {
            const socket = plainConnect({ port: proxy.port, host: '127.0.0.1' });
            socket.on('error', () => {});
            socket.write(Buffer.from(begin, 'latin1'));
            idle.push(socket);
          }
        expect((await get(proxy.port)).body).toBe('hello');
        await Promise.all(idle.map((socket) => within(once(socket.resume(), 'close'), 'the timeout')));
        expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_transport_socket_connect_timeout')).toBe(80);
        expect((await get(proxy.port)).body).toBe('hello');
      },
    );
  });
});

describe.skipIf(skipUnbuilt)(`the dragoman command${UNBUILT}`, () => {
  it('swaps certificates in all of its workers, shows them, and ends', async () => {
    const config = bootstrap(
      [
        httpListener({
          routes: [
            { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
          ],
          chain: downstream({
            tls_certificates: [
              { certificate_chain: { filename: 'tls.crt' }, private_key: { filename: 'tls.key' } },
            ],
          }),
        }),
      ],
      [],
    );
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-e2e-'));
    const write = (certificate: TestCertificate) => {
      writeFileSync(join(folder, 'tls.crt'), certificate.chainPem);
      writeFileSync(join(folder, 'tls.key'), certificate.keyPem);
    };
    write(server);
    const text = JSON.stringify(config).replaceAll(/"tls\.(crt|key)"/g, (_, ending) =>
      JSON.stringify(join(folder, `tls.${ending}`)),
    );
    await using sidecar = await Sidecar.serve(text, ['--concurrency', '2']);
    const port = await sidecar.port();
    for (let i = 0; i < 8; i++) expect((await get(port)).subject).toBe('CN=server');
    const { body } = await sidecar.admin('/certs');
    expect(body.toString()).toContain(server.serial.toString(16));
    write(rsa);
    await eventually(async () => {
      const stats = (await sidecar.admin('/stats?filter=ssl_context_update_by_sds')).body.toString();
      expect(stats).toMatch(/server_ssl_socket_factory\.ssl_context_update_by_sds: [2-9]/);
    });
    for (let i = 0; i < 16; i++) expect((await get(port)).subject).toBe('CN=rsa');
    sidecar.kill('SIGTERM');
    expect((await within(sidecar.exit, 'the end', 10_000)).code).toBe(0);
    rmSync(folder, { recursive: true });
  });
});
