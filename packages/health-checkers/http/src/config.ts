import {
  CodecClientType,
  type HealthCheck_HttpHealthCheck as HttpHealthCheck,
  HealthCheck_HttpHealthCheckSchema as HttpHealthCheckSchema,
  RequestMethod,
} from '@dragoman/api';
import { atPath, ConfigError, type FormatterFactory, refuseUnsupported } from '@dragoman/core';
import { compileHeaderMutation, type HeaderMutation, isUnfitForWire } from '@dragoman/header-edits';
import { decodePayload } from '@dragoman/health-checking';
import { compileStringMatcher, type StringPredicate, utf8Bytes } from '@dragoman/matching';
import { compileStatuses, type StatusPredicate } from './statuses.ts';

/** An `http_health_check`, compiled. */
export interface HttpCheckOptions {
  /** Empty: the cluster's name. */
  readonly host: string;
  /** Bytes. */
  readonly path: string;
  readonly method: string;
  readonly protocol: 'http1' | 'http2';
  readonly mutation: HeaderMutation | undefined;
  /** The request's body; undefined for none. */
  readonly payload: Buffer | undefined;
  /** Blocks that the answer's body has to have. */
  readonly receive: readonly Buffer[];
  /** How much of the answer's body is looked at, bytes. Default 1,024; Infinity: all of it (Envoy: 0). */
  readonly receiveLimit: number;
  readonly expected: StatusPredicate;
  readonly retriable: StatusPredicate;
  readonly serviceName: StringPredicate | undefined;
}

/** Envoy's. */
const DEFAULT_RECEIVE_LIMIT = 1024;
const OK = { start: 200n, end: 201n, $typeName: 'envoy.type.v3.Int64Range' } as const;
/** Methods whose requests have no body. */
const BODILESS: ReadonlySet<number> = new Set([
  RequestMethod.GET,
  RequestMethod.HEAD,
  RequestMethod.DELETE,
  RequestMethod.TRACE,
]);
const UNFIT_PATH = /[\x00-\x20\x7f#]/;
const SUPPORTED: ReadonlySet<string> = new Set([
  'host',
  'path',
  'send',
  'receive',
  'response_buffer_size',
  'request_headers_to_add',
  'request_headers_to_remove',
  'expected_statuses',
  'retriable_statuses',
  'codec_client_type',
  'service_name_matcher',
  'method',
]);

/** @throws ConfigError with a path below the `http_health_check` */
export function parseConfig(config: HttpHealthCheck, formatters: FormatterFactory): HttpCheckOptions {
  refuseUnsupported(config, HttpHealthCheckSchema, SUPPORTED);
  if (isUnfitForWire(config.host)) throw ConfigError.at('host', 'may not contain NUL, CR or LF');
  const method = methodOf(config);
  const expected = config.expectedStatuses.length === 0 ? [OK] : config.expectedStatuses;
  const receive = config.receive.map((payload, i) => atPath(`receive[${i}]`, () => decodePayload(payload)));
  const matcher = config.serviceNameMatcher;
  return {
    host: config.host,
    path: pathOf(config),
    method: RequestMethod[method] as string,
    protocol: protocolOf(config),
    mutation: compileHeaderMutation(
      config.requestHeadersToAdd,
      config.requestHeadersToRemove,
      formatters,
      'request_headers_to_add',
      'request_headers_to_remove',
    ),
    payload: payloadOf(config, method),
    receive: receive.filter(({ length }) => length > 0),
    receiveLimit: receiveLimitOf(config, receive),
    expected: compileStatuses(expected, 'expected_statuses'),
    retriable: compileStatuses(config.retriableStatuses, 'retriable_statuses'),
    serviceName:
      matcher === undefined ? undefined : atPath('service_name_matcher', () => compileStringMatcher(matcher)),
  };
}

function methodOf({ method }: HttpHealthCheck): RequestMethod {
  if (method === RequestMethod.METHOD_UNSPECIFIED) return RequestMethod.GET;
  if (method === RequestMethod.CONNECT)
    throw ConfigError.at('method', 'CONNECT cannot check a host; use GET');
  return method;
}

function pathOf({ path, method }: HttpHealthCheck): string {
  const star = path === '*' && method === RequestMethod.OPTIONS;
  if (!star && !path.startsWith('/'))
    throw ConfigError.at('path', `"${path}" is no path: it has to begin with /, as in /healthz`);
  if (UNFIT_PATH.test(path))
    throw ConfigError.at(
      'path',
      'may not contain spaces, control characters or #; write them as %20 and the like',
    );
  return utf8Bytes(path);
}

function protocolOf({ codecClientType }: HttpHealthCheck): 'http1' | 'http2' {
  if (codecClientType === CodecClientType.HTTP3)
    throw ConfigError.at('codec_client_type', 'HTTP3 is not supported; use HTTP1 or HTTP2');
  return codecClientType === CodecClientType.HTTP2 ? 'http2' : 'http1';
}

function payloadOf({ send }: HttpHealthCheck, method: RequestMethod): Buffer | undefined {
  if (send === undefined) return undefined;
  if (BODILESS.has(method))
    throw ConfigError.at(
      'send',
      `a request with method ${RequestMethod[method]} has no body; set method to POST, PUT, PATCH or OPTIONS`,
    );
  const payload = atPath('send', () => decodePayload(send));
  return payload.length === 0 ? undefined : payload;
}

function receiveLimitOf({ responseBufferSize }: HttpHealthCheck, receive: readonly Buffer[]): number {
  const size = Number(responseBufferSize ?? DEFAULT_RECEIVE_LIMIT);
  const needed = receive.reduce((sum, { length }) => sum + length, 0);
  if (size !== 0 && needed > size)
    throw ConfigError.at(
      'receive',
      `has ${needed} bytes, and only the first ${size} of an answer are looked at; raise response_buffer_size (0: no limit)`,
    );
  return size === 0 ? Number.POSITIVE_INFINITY : size;
}
