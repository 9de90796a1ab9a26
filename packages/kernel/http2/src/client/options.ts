import type { SecureClientSessionOptions } from 'node:http2';
import type { Clock, RandomSource } from '@dragoman/core';
import type { KeepAliveSettings } from '../keep-alive.ts';
import { FIELD_OVERHEAD } from '../fields.ts';
import type { Http2Stats } from '../stats.ts';

/** What the client side of a connection keeps to. Source: `envoy.config.core.v3.Http2ProtocolOptions` and `HttpProtocolOptions`. */
export interface Http2ClientOptions {
  /** Bytes of names and values of a response's headers, or trailers; default 60 KiB. */
  readonly maxHeaderBytes: number;
  /** Lines of the same (`max_headers_count`), pseudo-headers not counted; default 100. */
  readonly maxHeaderCount: number;
  /** 1 … 2³¹−1; default 1024. */
  readonly maxConcurrentStreams: number;
  /** Bytes, 65,535 … 2³¹−1; default 16 MiB. */
  readonly initialStreamWindowSize: number;
  /** Bytes, 65,535 … 2³¹−1; default 24 MiB. */
  readonly initialConnectionWindowSize: number;
  /** Bytes, 0 … 2³²−1; default 4096. */
  readonly hpackTableSize: number;
  /** Says in SETTINGS that extended CONNECT is known (RFC 8441). Default false. */
  readonly allowConnect: boolean;
  /** `custom_settings_parameters`, by identifier. */
  readonly customSettings: Readonly<Record<number, number>>;
  readonly keepAlive: KeepAliveSettings | undefined;
  /** `override_stream_error_on_invalid_http_message`: a broken response costs its stream only. Default false: the connection. */
  readonly streamErrorOnInvalidMessage: boolean;
  readonly stats: Http2Stats;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Envoy's (since 1.36). */
export const HTTP2_CLIENT_DEFAULTS = {
  maxConcurrentStreams: 1024,
  initialStreamWindowSize: 16 * 1024 * 1024,
  initialConnectionWindowSize: 24 * 1024 * 1024,
  hpackTableSize: 4096,
} as const;

/** Fields beyond the limit that Node lets by: whoever is over it by less is told of by name, the rest ends below. */
const LEEWAY = 8;
/** Megabytes; Node's default of 10 would refuse streams that windows and counts allow. */
const MAX_SESSION_MEMORY = 1024;
/** The most that Node takes in this place. */
const MAX_INT = 0xffffffff;

/** Newer than the types of Node: fields that should stand once may stand twice. */
interface SingleFields {
  readonly strictSingleValueFields: boolean;
}

/** What Node makes a session of. */
export function sessionOptions(options: Http2ClientOptions): SecureClientSessionOptions & SingleFields {
  const pairs = options.maxHeaderCount + LEEWAY;
  return {
    maxHeaderListPairs: Math.min(pairs, MAX_INT),
    maxDeflateDynamicTableSize: Math.min(options.hpackTableSize, MAX_INT),
    maxSessionMemory: MAX_SESSION_MEMORY,
    strictSingleValueFields: false,
    settings: {
      enablePush: false,
      headerTableSize: Math.min(options.hpackTableSize, MAX_INT),
      initialWindowSize: options.initialStreamWindowSize,
      maxConcurrentStreams: options.maxConcurrentStreams,
      maxHeaderListSize: Math.min(options.maxHeaderBytes + (pairs + 1) * FIELD_OVERHEAD, MAX_INT),
      ...(options.allowConnect ? { enableConnectProtocol: true } : undefined),
      ...(Object.keys(options.customSettings).length === 0
        ? undefined
        : { customSettings: { ...options.customSettings } }),
    },
  };
}
