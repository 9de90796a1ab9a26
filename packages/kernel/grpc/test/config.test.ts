import {
  Authorization,
  CheckRequestSchema,
  type CheckResponseSchema,
  create,
  GrpcServiceSchema,
  RouterSchema,
} from '@dragoman/api';
import { ConfigError, type GrpcTarget, type GrpcTargetTls } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { parseTarget } from '../src/google-grpc.ts';
import { Rig, service, UnaryRecorder } from './support/rig.ts';

/** Each problem as `path: message`. */
function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

interface Asked {
  readonly target: GrpcTarget;
  readonly tls: GrpcTargetTls | undefined;
}

/** A rig whose targets are all cluster `authz`. */
function googleRig(google: object, rest: object = {}) {
  const asked: Asked[] = [];
  const rig = new Rig(
    { google_grpc: { target_uri: 'auth.test:50051', stat_prefix: 'authz', ...google }, ...rest },
    {
      targets: {
        clusterFor(target, tls) {
          asked.push({ target, tls });
          return 'authz';
        },
      },
    },
  );
  return { rig, asked: asked[0] };
}

describe('a GrpcService', () => {
  const refused: [string, object, string[]][] = [
    ['with an empty cluster', { envoy_grpc: {} }, ['envoy_grpc.cluster_name: is required']],
    [
      'with google_grpc, where nobody makes clusters',
      { google_grpc: { target_uri: 'a:1', stat_prefix: 'a' } },
      ['google_grpc: is not supported here: use envoy_grpc and a cluster'],
    ],
    ['with a negative timeout', { timeout: '-1s' }, ['timeout: may not be negative']],
    [
      'with metadata without a name',
      { initial_metadata: [{ value: 'a' }] },
      ['initial_metadata[0].key: a name is required'],
    ],
    [
      'with pseudo-headers',
      {
        initial_metadata: [
          { key: 'a', value: 'b' },
          { key: ':path', value: 'b' },
        ],
      },
      ['initial_metadata[1].key: :-prefixed or host headers may not be modified'],
    ],
    [
      'with host',
      { initial_metadata: [{ key: 'Host', value: 'b' }] },
      ['initial_metadata[0].key: :-prefixed or host headers may not be modified'],
    ],
    [
      'with a name that is none',
      { initial_metadata: [{ key: 'a b', value: 'b' }] },
      ['initial_metadata[0].key: "a b" is no header name (RFC 9110 section 5.6.2)'],
    ],
    [
      'with a value that breaks its line',
      { initial_metadata: [{ key: 'a', value: 'b\r\nc: d' }] },
      ['initial_metadata[0].value: a header value may not contain NUL, CR or LF'],
    ],
    [
      'with two values',
      { initial_metadata: [{ key: 'a', value: 'b', raw_value: 'Yg==' }] },
      ['initial_metadata[0].raw_value: value and raw_value may not both be set'],
    ],
    [
      'with a back-off that shrinks',
      { retry_policy: { retry_back_off: { base_interval: '2s', max_interval: '1s' } } },
      ['retry_policy.retry_back_off.max_interval: may not be less than base_interval'],
    ],
    [
      'with a predicate nobody has',
      { retry_policy: { retry_host_predicate: [{ name: 'x' }] } },
      [
        'retry_policy.retry_host_predicate[0]: unknown extension "x" of category retry-policies; this proxy has none of that category',
      ],
    ],
    [
      'with too many draws',
      { retry_policy: { host_selection_retry_max_attempts: 1001 } },
      ['retry_policy.host_selection_retry_max_attempts: may not be more than 1000'],
    ],
    [
      'with a reconnect back-off that shrinks',
      {
        envoy_grpc: {
          cluster_name: 'a',
          retry_policy: { retry_back_off: { base_interval: '2s', max_interval: '1s' } },
        },
      },
      ['envoy_grpc.retry_policy.retry_back_off.max_interval: may not be less than base_interval'],
    ],
  ];
  it.each(refused)('%s is refused', (_, config, problems) => {
    const rig = new Rig();
    const found = problemsOf(() => rig.factory.create(service(config)));
    expect(found.map((text) => text.replace(/; .*$/s, ''))).toEqual(
      problems.map((text) => text.replace(/; .*$/s, '')),
    );
  });

  it('is that, and nothing else', () => {
    const { factory } = new Rig();
    for (const config of [undefined, 7, {}, create(RouterSchema)])
      expect(problemsOf(() => factory.create(config))).toEqual([
        ': must be a envoy.config.core.v3.GrpcService',
      ]);
    expect(problemsOf(() => factory.create(create(GrpcServiceSchema)))).toEqual([
      ': needs one of envoy_grpc, google_grpc',
    ]);
  });

  it('may name a cluster that does not exist yet, unless its user minds', () => {
    const { factory } = new Rig();
    const config = service({ envoy_grpc: { cluster_name: 'later' } });
    expect(factory.create(config).destination).toBe('later');
    expect(problemsOf(() => factory.create(config, { requireCluster: true }))).toEqual([
      'envoy_grpc.cluster_name: unknown gRPC client cluster "later"',
    ]);
    expect(problemsOf(() => factory.create(service(), { requireCluster: true }))).toEqual([]);
  });

  it('warns of what has no effect', () => {
    const { context } = new Rig({
      envoy_grpc: { cluster_name: 'authz', retry_policy: { retry_on: '5xx', num_retries: 3 } },
      retry_policy: { retry_on: '' },
    });
    expect(context.warnings).toEqual([
      'retry_policy.retry_on: names no condition: nothing is tried again, as in Envoy',
      'envoy_grpc.retry_policy.num_retries: has no effect, as in Envoy: the retry_policy beside envoy_grpc is for calls',
      'envoy_grpc.retry_policy.retry_on: has no effect, as in Envoy: the retry_policy beside envoy_grpc is for calls',
    ]);
    expect(new Rig({ retry_policy: { retry_on: '5xx,rest' } }).context.warnings).toEqual([
      'retry_policy.retry_on: "rest" is no condition, and has no effect; did you mean "reset"?',
    ]);
  });
});

describe('a RetryPolicy', () => {
  it('is compiled for whoever has one of its own', () => {
    const { factory } = new Rig();
    const { retryPolicy } = service({ retry_policy: { num_retries: 4 } });
    expect(factory.compileRetryPolicy(retryPolicy, 'connect-failure')).toMatchObject({
      on: 4,
      maxRetries: 4,
      baseIntervalMs: 1000,
      maxIntervalMs: 10_000,
    });
    expect(problemsOf(() => factory.compileRetryPolicy({}))).toEqual([
      ': must be a envoy.config.core.v3.RetryPolicy',
    ]);
  });

  it.each([
    [{ base_interval: '0.2s' }, 200, 2000],
    [{ base_interval: '0.2s', max_interval: '0.3s' }, 200, 300],
    [{ base_interval: '0.0001s' }, 1, 10],
  ])('backs off by %j', (backOff, baseIntervalMs, maxIntervalMs) => {
    const { factory } = new Rig();
    const { retryPolicy } = service({ retry_policy: { retry_on: '5xx', retry_back_off: backOff } });
    expect(factory.compileRetryPolicy(retryPolicy)).toMatchObject({ baseIntervalMs, maxIntervalMs });
  });
});

describe('a target', () => {
  it.each([
    ['auth.test:50051', 'auth.test', 50_051],
    ['auth.test', 'auth.test', 443],
    ['dns:auth.test:1', 'auth.test', 1],
    ['dns:///auth.test:65535', 'auth.test', 65_535],
    ['10.0.0.1:80', '10.0.0.1', 80],
    ['[::1]:80', '::1', 80],
    ['dns:///[2001:db8::1]', '2001:db8::1', 443],
    ['dns.test:1', 'dns.test', 1],
  ])('%s', (uri, host, port) => {
    expect(parseTarget(uri)).toEqual({ host, port });
  });

  it.each([
    ['unix:/tmp/a', '"unix:" is not supported: expected host:port or dns:///host:port'],
    ['ipv4:10.0.0.1:80', '"ipv4:" is not supported: expected host:port or dns:///host:port'],
    ['xds:///a', '"xds:" is not supported: expected host:port or dns:///host:port'],
    ['dns://8.8.8.8/a:1', 'a DNS server in the target is not supported: expected dns:///host:port'],
    ['', '"" is no target: expected host:port or dns:///host:port'],
    ['a:b', '"a:b" is no target: expected host:port or dns:///host:port'],
    ['a:1:2', '"a:1:2" is no target: expected host:port or dns:///host:port'],
    ['[a]:1', '"[a]:1" is no target: expected host:port or dns:///host:port'],
    ['[10.0.0.1]:1', '"[10.0.0.1]:1" is no target: expected host:port or dns:///host:port'],
    ['a b:1', '"a b:1" is no target: expected host:port or dns:///host:port'],
    ['a/b:1', '"a/b:1" is no target: expected host:port or dns:///host:port'],
    ['a:0', 'the port must be 1 to 65535, is 0'],
    ['a:65536', 'the port must be 1 to 65535, is 65536'],
  ])('is not %s', (uri, message) => {
    expect(problemsOf(() => parseTarget(uri))).toEqual([`: ${message}`]);
  });
});

describe('google_grpc', () => {
  const tls = { channel_credentials: { ssl_credentials: {} } };

  it('becomes a cluster of its owner’s, without TLS', () => {
    const { rig, asked } = googleRig({});
    expect(asked).toEqual({ target: { host: 'auth.test', port: 50_051 }, tls: undefined });
    expect(rig.client.destination).toBe('auth.test:50051');
  });

  it('with TLS', () => {
    const { asked } = googleRig({
      channel_credentials: {
        ssl_credentials: {
          root_certs: { inline_string: 'root' },
          private_key: { inline_string: 'key' },
          cert_chain: { inline_string: 'chain' },
        },
      },
    });
    expect(asked.tls).toEqual({
      rootCertificates: Buffer.from('root'),
      privateKey: Buffer.from('key'),
      certificateChain: Buffer.from('chain'),
    });
    expect(googleRig(tls).asked.tls).toEqual({
      rootCertificates: undefined,
      privateKey: undefined,
      certificateChain: undefined,
    });
  });

  it('sends credentials as metadata, and nothing of Envoy’s', () => {
    const { rig } = googleRig(
      {
        ...tls,
        call_credentials: [
          { access_token: 'secret' },
          { google_iam: { authorization_token: 't', authority_selector: 's' } },
        ],
      },
      { initial_metadata: [{ key: 'X-A', value: 'b' }] },
    );
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(Authorization.method.check, create(CheckRequestSchema), undefined, recorder);
    expect(rig.upstream.requestHeaders?.authority).toBe('auth.test:50051');
    expect(rig.upstream.requestHeaders?.entries().slice(-4)).toEqual([
      ['x-a', 'b'],
      ['authorization', 'Bearer secret'],
      ['x-goog-iam-authorization-token', 't'],
      ['x-goog-iam-authority-selector', 's'],
    ]);
  });

  it('counts under its stat_prefix', () => {
    const { rig } = googleRig({});
    const call = (play: (rig: Rig) => void) => {
      const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
      rig.client.unary(Authorization.method.check, create(CheckRequestSchema), undefined, recorder);
      play(rig);
    };
    call(({ upstream }) => upstream.answer(Buffer.alloc(0)));
    call(({ upstream }) => upstream.respond({ 'grpc-status': '7' }, 200, true));
    call(({ upstream }) => upstream.respond({ 'grpc-status': '99' }, 200, true));
    const counted = Object.entries(rig.context.stats.used()).filter(([name]) => name.startsWith('grpc.'));
    expect(Object.fromEntries(counted)).toEqual({
      'grpc.authz.google_grpc_client_creation': 1,
      'grpc.authz.streams_closed_0': 1,
      'grpc.authz.streams_closed_2': 1,
      'grpc.authz.streams_closed_7': 1,
      'grpc.authz.streams_total': 3,
    });
    expect(
      rig.context.stats.names.filter((name) => name.startsWith('grpc.authz.streams_closed_')),
    ).toHaveLength(17);
  });

  it('takes messages of 4 MiB, or what channel_args say', () => {
    const limited = (google: object) => {
      const { rig } = googleRig(google);
      const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
      rig.client.unary(Authorization.method.check, create(CheckRequestSchema), undefined, recorder);
      rig.upstream.respond();
      rig.upstream.bytes(Buffer.from([0, 0, 0x40, 0, 1]));
      return recorder.failures.map(({ message }) => message);
    };
    const tooLong = (limit: number) => [`a message of 4194305 bytes: the limit is ${limit}`];
    expect(limited({})).toEqual(tooLong(4 * 1024 * 1024));
    const args = (value: string) => ({
      channel_args: { args: { 'grpc.max_receive_message_length': { int_value: value } } },
    });
    expect(limited(args('10'))).toEqual(tooLong(10));
    expect(limited(args('5000000'))).toEqual([]);
    expect(limited(args('-1'))).toEqual([]);
  });

  it('takes another authority of channel_args', () => {
    const { rig } = googleRig({
      channel_args: { args: { 'grpc.default_authority': { string_value: 'other' } } },
    });
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    rig.client.unary(Authorization.method.check, create(CheckRequestSchema), undefined, recorder);
    expect(rig.upstream.requestHeaders?.authority).toBe('other');
  });

  it('warns of a config that nobody reads', () => {
    expect(googleRig({ config: { a: 1 } }).rig.context.warnings).toEqual([
      'google_grpc.config: has no effect, as in an Envoy without extensions for it',
    ]);
    expect(googleRig({ config: {} }).rig.context.warnings).toEqual([]);
  });

  it('says where its owner refuses a target', () => {
    const targets = {
      clusterFor(): string {
        throw ConfigError.at('', 'no more clusters');
      },
    };
    const config = { google_grpc: { target_uri: 'a:1', stat_prefix: 'a' } };
    expect(problemsOf(() => new Rig(config, { targets }))).toEqual([
      'google_grpc.target_uri: no more clusters',
    ]);
  });

  const refused: [string, object, object, string][] = [
    [
      'a factory',
      { credentials_factory_name: 'envoy.grpc_credentials.aws_iam' },
      {},
      'google_grpc.credentials_factory_name: "envoy.grpc_credentials.aws_iam" is not supported: expected none, or envoy.grpc_credentials.default',
    ],
    [
      'google_default',
      { channel_credentials: { google_default: {} } },
      {},
      'google_grpc.channel_credentials.google_default: is not supported: credentials of Google are not looked for',
    ],
    [
      'local_credentials',
      { channel_credentials: { local_credentials: {} } },
      {},
      'google_grpc.channel_credentials.local_credentials: is not supported: use envoy_grpc and a cluster of a Unix socket',
    ],
    [
      'no credentials in them',
      { channel_credentials: {} },
      {},
      'google_grpc.channel_credentials: needs one of ssl_credentials, google_default, local_credentials',
    ],
    [
      'a key alone',
      { channel_credentials: { ssl_credentials: { private_key: { inline_string: 'k' } } } },
      {},
      'google_grpc.channel_credentials.ssl_credentials: private_key and cert_chain go together',
    ],
    [
      'a file that is not there',
      {
        channel_credentials: {
          ssl_credentials: { root_certs: { environment_variable: 'NO_SUCH_VARIABLE_HERE' } },
        },
      },
      {},
      'google_grpc.channel_credentials.ssl_credentials.root_certs.environment_variable: the variable "NO_SUCH_VARIABLE_HERE" is not set',
    ],
    [
      'a token without TLS',
      { call_credentials: [{ access_token: 'a' }] },
      {},
      'google_grpc.call_credentials[0].access_token: is sent over TLS only: channel_credentials with ssl_credentials is required',
    ],
    [
      'a token that breaks its line',
      { ...tls, call_credentials: [{ access_token: 'a\nb' }] },
      {},
      'google_grpc.call_credentials[0].access_token: may not contain NUL, CR or LF',
    ],
    [
      'tokens of an engine',
      { ...tls, call_credentials: [{ google_compute_engine: {} }] },
      {},
      'google_grpc.call_credentials[0].google_compute_engine: is not supported: tokens are not fetched; expected access_token or google_iam',
    ],
    [
      'tokens of a key',
      { ...tls, call_credentials: [{ service_account_jwt_access: {} }] },
      {},
      'google_grpc.call_credentials[0].service_account_jwt_access: is not supported: tokens are not fetched; expected access_token or google_iam',
    ],
    [
      'tokens of a plugin',
      { ...tls, call_credentials: [{ from_plugin: { name: 'a' } }] },
      {},
      'google_grpc.call_credentials[0].from_plugin: is not supported: tokens are not fetched; expected access_token or google_iam',
    ],
    [
      'tokens of a service',
      { ...tls, call_credentials: [{ sts_service: { subject_token_path: 'a', subject_token_type: 'b' } }] },
      {},
      'google_grpc.call_credentials[0].sts_service: is not supported: tokens are not fetched; expected access_token or google_iam',
    ],
    [
      'refreshed tokens',
      { ...tls, call_credentials: [{ google_refresh_token: 'a' }] },
      {},
      'google_grpc.call_credentials[0].google_refresh_token: is not supported: tokens are not fetched; expected access_token or google_iam',
    ],
    [
      'no call credentials in them',
      { ...tls, call_credentials: [{}] },
      {},
      'google_grpc.call_credentials[0]: needs one of access_token, google_iam',
    ],
    [
      'an argument',
      { channel_args: { args: { 'grpc.keepalive_time_ms': { int_value: '1' } } } },
      {},
      'google_grpc.channel_args.args["grpc.keepalive_time_ms"]: is not supported: expected grpc.default_authority or grpc.max_receive_message_length',
    ],
    [
      'an argument of another kind',
      { channel_args: { args: { 'grpc.max_receive_message_length': { string_value: '1' } } } },
      {},
      'google_grpc.channel_args.args["grpc.max_receive_message_length"]: expected int_value',
    ],
    [
      'an authority of another kind',
      { channel_args: { args: { 'grpc.default_authority': { int_value: '1' } } } },
      {},
      'google_grpc.channel_args.args["grpc.default_authority"]: expected string_value',
    ],
    [
      'a limit of nothing',
      { channel_args: { args: { 'grpc.max_receive_message_length': { int_value: '0' } } } },
      {},
      'google_grpc.channel_args.args["grpc.max_receive_message_length"]: must be −1 (no limit) or 1 to 2147483647, is 0',
    ],
    [
      'metadata under a key that is none of gRPC’s',
      {},
      { initial_metadata: [{ key: 'a!', value: 'b' }] },
      'initial_metadata[0].key: "a!" is no key of gRPC metadata: expected letters, digits and _.-',
    ],
    [
      'metadata that is no ASCII',
      {},
      { initial_metadata: [{ key: 'a', value: 'é' }] },
      'initial_metadata[0].value: a value of gRPC metadata may hold printable ASCII only, but under a -bin key',
    ],
  ];
  it.each(refused)('refuses %s', (_, google, rest, problem) => {
    expect(problemsOf(() => googleRig(google, rest))).toEqual([problem]);
  });

  it('takes metadata that is no ASCII under a -bin key', () => {
    expect(problemsOf(() => googleRig({}, { initial_metadata: [{ key: 'a-bin', value: 'é' }] }))).toEqual([]);
  });
});
