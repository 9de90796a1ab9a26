import { durationMs, type HttpConnectionManager } from '@dragoman/api';
import type { ListenerFactoryContext } from '@dragoman/core';
import {
  createHttp2Stats,
  HTTP2_DEFAULTS,
  type Http2ServerOptions,
  readHttp2ProtocolOptions,
} from '@dragoman/http2';
import { readRequestLimits } from './runtime-defaults.ts';

const DEFAULT_STREAM_FLUSH_MS = 300_000;
const UNDERSCORES = ['allow', 'reject', 'drop'] as const;

/** Reads `http2_protocol_options` and what of the connection manager matters to HTTP/2. @throws ConfigError, paths below that field */
export function compileHttp2Options(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
): Http2ServerOptions {
  const settings = readHttp2ProtocolOptions(config.http2ProtocolOptions);
  const common = config.commonHttpProtocolOptions;
  return {
    ...readRequestLimits(config, context),
    headersWithUnderscores: UNDERSCORES[common?.headersWithUnderscoresAction ?? 0] ?? 'allow',
    maxConcurrentStreams: settings.maxConcurrentStreams ?? HTTP2_DEFAULTS.maxConcurrentStreams,
    initialStreamWindowSize: settings.initialStreamWindowSize ?? HTTP2_DEFAULTS.initialStreamWindowSize,
    initialConnectionWindowSize:
      settings.initialConnectionWindowSize ?? HTTP2_DEFAULTS.initialConnectionWindowSize,
    hpackTableSize: settings.hpackTableSize ?? HTTP2_DEFAULTS.hpackTableSize,
    allowConnect: settings.allowConnect,
    customSettings: settings.customSettings,
    keepAlive: settings.keepAlive,
    bufferLimitBytes: context.perConnectionBufferLimitBytes,
    streamFlushTimeoutMs:
      durationMs(config.streamFlushTimeout ?? config.streamIdleTimeout) ?? DEFAULT_STREAM_FLUSH_MS,
    stats: createHttp2Stats(context.stats),
    clock: context.clock,
    random: context.random,
  };
}
