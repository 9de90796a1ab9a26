import { durationMs, type Http2ProtocolOptions, Http2ProtocolOptionsSchema } from '@dragoman/api';
import { ConfigError, ProblemCollector, refuseUnsupported } from '@dragoman/core';
import type { KeepAliveSettings } from './keep-alive.ts';

/** `envoy.config.core.v3.Http2ProtocolOptions`, read. Undefined: the config says nothing. */
export interface Http2ProtocolSettings {
  /** `max_concurrent_streams`, 1 … 2³¹−1. */
  readonly maxConcurrentStreams: number | undefined;
  /** `initial_stream_window_size`, bytes, 65,535 … 2³¹−1. */
  readonly initialStreamWindowSize: number | undefined;
  /** `initial_connection_window_size`, bytes, 65,535 … 2³¹−1. */
  readonly initialConnectionWindowSize: number | undefined;
  /** `hpack_table_size`, bytes. */
  readonly hpackTableSize: number | undefined;
  /** `allow_connect` (RFC 8441). */
  readonly allowConnect: boolean;
  readonly keepAlive: KeepAliveSettings | undefined;
  /** `custom_settings_parameters`, by identifier. */
  readonly customSettings: Readonly<Record<number, number>>;
}

const DEFAULT_JITTER_PERCENT = 15;

const SUPPORTED = new Set([
  'hpack_table_size',
  'max_concurrent_streams',
  'initial_stream_window_size',
  'initial_connection_window_size',
  'allow_connect',
  'custom_settings_parameters',
  'connection_keepalive',
]);

/** Limits that Node's layer keeps in its own way. Envoy's default is what a config gets without them, so it may be written down. */
const FLOOD_LIMITS = [
  ['max_outbound_frames', 'maxOutboundFrames', 10_000],
  ['max_outbound_control_frames', 'maxOutboundControlFrames', 1000],
  ['max_consecutive_inbound_frames_with_empty_payload', 'maxConsecutiveInboundFramesWithEmptyPayload', 1],
  ['max_inbound_priority_frames_per_stream', 'maxInboundPriorityFramesPerStream', 100],
  [
    'max_inbound_window_update_frames_per_data_frame_sent',
    'maxInboundWindowUpdateFramesPerDataFrameSent',
    10,
  ],
] as const;

const REASONS = {
  allow_metadata: 'METADATA frames are not known to the HTTP/2 layer of this platform; remove allow_metadata',
  stream_error_on_invalid_http_messaging:
    'is deprecated; a message that breaks HTTP/2 always costs its stream only here',
  override_stream_error_on_invalid_http_message:
    'may only be true: a message that breaks HTTP/2 costs its stream only, whatever is set',
  use_oghttp2_codec: 'chooses between codecs of Envoy; there is one here, remove it',
};

/** The identifiers of RFC 9113 section 6.5.2 and RFC 8441, which have fields of their own. */
const NAMED_SETTINGS: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 8]);
const MAX_CUSTOM_SETTINGS = 10;

/** @throws ConfigError with every problem; paths begin at the message */
export function readHttp2ProtocolOptions(options: Http2ProtocolOptions | undefined): Http2ProtocolSettings {
  const problems = new ProblemCollector();
  if (options !== undefined) problems.try('', () => checkFields(options));
  const customSettings = problems.try('custom_settings_parameters', () => readCustomSettings(options)) ?? {};
  problems.throwIfAny();
  const alive = options?.connectionKeepalive;
  return {
    maxConcurrentStreams: options?.maxConcurrentStreams,
    initialStreamWindowSize: options?.initialStreamWindowSize,
    initialConnectionWindowSize: options?.initialConnectionWindowSize,
    hpackTableSize: options?.hpackTableSize,
    allowConnect: options?.allowConnect ?? false,
    keepAlive:
      alive === undefined
        ? undefined
        : {
            intervalMs: durationMs(alive.interval) ?? 0,
            timeoutMs: durationMs(alive.timeout) ?? 0,
            intervalJitterPercent: alive.intervalJitter?.value ?? DEFAULT_JITTER_PERCENT,
            idleIntervalMs: durationMs(alive.connectionIdleInterval) ?? 0,
          },
    customSettings,
  };
}

function checkFields(options: Http2ProtocolOptions): void {
  const supported = new Set(SUPPORTED);
  const reasons: Record<string, string> = { ...REASONS };
  for (const [field, key, standard] of FLOOD_LIMITS) {
    if (options[key] === standard) supported.add(field);
    reasons[field] =
      `cannot be set: the HTTP/2 layer of this platform has limits of its own (docs/http2.md); leave it out, or write ${standard}`;
  }
  if (options.overrideStreamErrorOnInvalidHttpMessage === true)
    supported.add('override_stream_error_on_invalid_http_message');
  if (options.streamErrorOnInvalidHttpMessaging) supported.add('stream_error_on_invalid_http_messaging');
  refuseUnsupported(options, Http2ProtocolOptionsSchema, supported, '', reasons);
}

function readCustomSettings(options: Http2ProtocolOptions | undefined): Record<number, number> {
  const settings: Record<number, number> = {};
  const list = options?.customSettingsParameters ?? [];
  if (list.length > MAX_CUSTOM_SETTINGS)
    throw ConfigError.at('', `at most ${MAX_CUSTOM_SETTINGS} can be sent, and there are ${list.length}`);
  list.forEach(({ identifier = 0, value = 0 }, i) => {
    if (NAMED_SETTINGS.has(identifier))
      throw ConfigError.at(`[${i}].identifier`, `${identifier} has a field of its own; use that`);
    if (settings[identifier] !== undefined)
      throw ConfigError.at(`[${i}].identifier`, `${identifier} stands twice`);
    settings[identifier] = value;
  });
  return settings;
}
