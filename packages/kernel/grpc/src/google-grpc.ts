import {
  type DataSource,
  type GrpcService_GoogleGrpc as GoogleGrpc,
  GrpcService_GoogleGrpcSchema,
  readDataSource,
} from '@dragoman/api';
import {
  Address,
  atPath,
  ConfigError,
  type FactoryContext,
  type GrpcTarget,
  type GrpcTargetTls,
  refuseUnsupported,
} from '@dragoman/core';
import { isUnfitForWire } from '@dragoman/header-edits';

type ChannelCredentials = NonNullable<GoogleGrpc['channelCredentials']>;
type CallCredentials = GoogleGrpc['callCredentials'][number];
type ChannelArgs = NonNullable<GoogleGrpc['channelArgs']>['args'];
type Line = readonly [name: string, value: string];

const FIELDS = new Set([
  'target_uri',
  'channel_credentials',
  'call_credentials',
  'stat_prefix',
  'credentials_factory_name',
  'config',
  'per_stream_buffer_limit_bytes',
  'channel_args',
]);

/** gRPC's own: a name without a port. */
const DEFAULT_PORT = 443;
/** Of a message, as gRPC's own library has it. */
const DEFAULT_MAX_RECEIVE_BYTES = 4 * 1024 * 1024;
const DEFAULT_FACTORY = 'envoy.grpc_credentials.default';

const CALL_CREDENTIALS: Readonly<Record<string, string>> = {
  googleComputeEngine: 'google_compute_engine',
  googleRefreshToken: 'google_refresh_token',
  serviceAccountJwtAccess: 'service_account_jwt_access',
  fromPlugin: 'from_plugin',
  stsService: 'sts_service',
};

/** `google_grpc`, as far as a cluster and metadata can stand for it. */
export interface GoogleGrpcSettings {
  readonly target: GrpcTarget;
  readonly tls: GrpcTargetTls | undefined;
  readonly authority: string;
  readonly credentials: readonly Line[];
  readonly statPrefix: string;
  readonly bufferLimitBytes: number | undefined;
  /** Undefined: as much as this proxy takes. */
  readonly maxReceiveBytes: number | undefined;
}

/** @throws ConfigError with a path below the message, for what a cluster cannot stand for */
export function compileGoogleGrpc(config: GoogleGrpc, context: FactoryContext): GoogleGrpcSettings {
  refuseUnsupported(config, GrpcService_GoogleGrpcSchema, FIELDS);
  const { credentialsFactoryName: factory } = config;
  if (factory !== '' && factory !== DEFAULT_FACTORY)
    throw ConfigError.at(
      'credentials_factory_name',
      `"${factory}" is not supported: expected none, or ${DEFAULT_FACTORY}`,
    );
  if (config.config !== undefined && Object.keys(config.config).length > 0)
    context.warn('google_grpc.config', 'has no effect, as in an Envoy without extensions for it');
  const target = atPath('target_uri', () => parseTarget(config.targetUri));
  const { channelCredentials } = config;
  const tls =
    channelCredentials === undefined
      ? undefined
      : atPath('channel_credentials', () => compileTls(channelCredentials));
  const args = compileArgs(config.channelArgs?.args ?? {});
  return {
    target,
    tls,
    authority: args.authority ?? textOfTarget(target),
    credentials: config.callCredentials.flatMap((entry, i) =>
      atPath(`call_credentials[${i}]`, () => compileCredentials(entry, tls !== undefined)),
    ),
    statPrefix: config.statPrefix,
    bufferLimitBytes: config.perStreamBufferLimitBytes,
    maxReceiveBytes: args.maxReceiveBytes,
  };
}

// --- Target --------------------------------------------------------------------------------------------------------------

/** `host:port`, `dns:host:port` or `dns:///host:port`. @throws ConfigError */
export function parseTarget(uri: string): GrpcTarget {
  const [, scheme, rest] =
    /^(?:(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p):)?(.*)$/s.exec(uri) ?? [];
  if (scheme !== undefined && scheme !== 'dns')
    throw ConfigError.at('', `"${scheme}:" is not supported: expected host:port or dns:///host:port`);
  let address = rest as string;
  if (scheme === 'dns' && address.startsWith('//')) {
    if (!address.startsWith('///'))
      throw ConfigError.at('', 'a DNS server in the target is not supported: expected dns:///host:port');
    address = address.slice(3);
  }
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s/:[\]]+))(?::(\d{1,5}))?$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && !isIpV6(bracketed)))
    throw ConfigError.at('', `"${uri}" is no target: expected host:port or dns:///host:port`);
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (number < 1 || number > 65_535) throw ConfigError.at('', `the port must be 1 to 65535, is ${port}`);
  return { host, port: number };
}

function isIpV6(text: string): boolean {
  try {
    return Address.ip(text, 1).family === 'ipv6';
  } catch {
    return false;
  }
}

/** With brackets where it is an IPv6 address, as an authority has it. */
function textOfTarget({ host, port }: GrpcTarget): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

// --- Credentials -----------------------------------------------------------------------------------------------------------

function compileTls({ credentialSpecifier }: ChannelCredentials): GrpcTargetTls {
  switch (credentialSpecifier.case) {
    case 'sslCredentials': {
      const { rootCerts, privateKey, certChain } = credentialSpecifier.value;
      if ((privateKey === undefined) !== (certChain === undefined))
        throw ConfigError.at('ssl_credentials', 'private_key and cert_chain go together');
      return {
        rootCertificates: read('ssl_credentials.root_certs', rootCerts),
        privateKey: read('ssl_credentials.private_key', privateKey),
        certificateChain: read('ssl_credentials.cert_chain', certChain),
      };
    }
    case 'googleDefault':
      throw ConfigError.at('google_default', 'is not supported: credentials of Google are not looked for');
    case 'localCredentials':
      throw ConfigError.at(
        'local_credentials',
        'is not supported: use envoy_grpc and a cluster of a Unix socket',
      );
    default:
      throw ConfigError.at('', 'needs one of ssl_credentials, google_default, local_credentials');
  }
}

function read(path: string, source: DataSource | undefined): Buffer | undefined {
  return source === undefined ? undefined : atPath(path, () => readDataSource(source));
}

function compileCredentials({ credentialSpecifier }: CallCredentials, secure: boolean): readonly Line[] {
  switch (credentialSpecifier.case) {
    case 'accessToken':
      return secured('access_token', secure, [['authorization', `Bearer ${credentialSpecifier.value}`]]);
    case 'googleIam': {
      const { authorizationToken, authoritySelector } = credentialSpecifier.value;
      return secured('google_iam', secure, [
        ['x-goog-iam-authorization-token', authorizationToken],
        ['x-goog-iam-authority-selector', authoritySelector],
      ]);
    }
    case undefined:
      throw ConfigError.at('', 'needs one of access_token, google_iam');
    default: {
      const field = CALL_CREDENTIALS[credentialSpecifier.case];
      throw ConfigError.at(
        field,
        'is not supported: tokens are not fetched; expected access_token or google_iam',
      );
    }
  }
}

/** As gRPC's own library: what proves who we are goes over no open connection. */
function secured(field: string, secure: boolean, lines: readonly Line[]): readonly Line[] {
  if (!secure)
    throw ConfigError.at(
      field,
      'is sent over TLS only: channel_credentials with ssl_credentials is required',
    );
  if (lines.some(([, value]) => isUnfitForWire(value)))
    throw ConfigError.at(field, 'may not contain NUL, CR or LF');
  return lines;
}

// --- Channel arguments -------------------------------------------------------------------------------------------------------

interface Args {
  readonly authority: string | undefined;
  readonly maxReceiveBytes: number | undefined;
}

function compileArgs(args: ChannelArgs): Args {
  let authority: string | undefined;
  let maxReceiveBytes: number | undefined = DEFAULT_MAX_RECEIVE_BYTES;
  for (const [name, { valueSpecifier }] of Object.entries(args)) {
    const path = `channel_args.args["${name}"]`;
    if (name === 'grpc.default_authority') {
      if (valueSpecifier.case !== 'stringValue') throw ConfigError.at(path, 'expected string_value');
      if (isUnfitForWire(valueSpecifier.value)) throw ConfigError.at(path, 'may not contain NUL, CR or LF');
      authority = valueSpecifier.value;
    } else if (name === 'grpc.max_receive_message_length') {
      if (valueSpecifier.case !== 'intValue') throw ConfigError.at(path, 'expected int_value');
      maxReceiveBytes = readMaxReceive(Number(valueSpecifier.value), path);
    } else {
      throw ConfigError.at(
        path,
        'is not supported: expected grpc.default_authority or grpc.max_receive_message_length',
      );
    }
  }
  return { authority, maxReceiveBytes };
}

function readMaxReceive(value: number, path: string): number | undefined {
  if (value === -1) return undefined;
  if (value > 0 && value <= 2 ** 31 - 1) return value;
  throw ConfigError.at(path, `must be −1 (no limit) or 1 to 2147483647, is ${value}`);
}
