import type { Http2ProtocolOptions } from '@dragoman/api';
import type { StatsScope } from '@dragoman/core';
import {
  createHttp2Stats,
  HTTP2_CLIENT_DEFAULTS,
  type Http2ClientOptions,
  readHttp2ProtocolOptions,
} from '@dragoman/http2';

/** What of {@link Http2ClientOptions} stands in `http2_protocol_options`. */
export type Http2Settings = Pick<
  Http2ClientOptions,
  | 'maxConcurrentStreams'
  | 'initialStreamWindowSize'
  | 'initialConnectionWindowSize'
  | 'hpackTableSize'
  | 'allowConnect'
  | 'customSettings'
  | 'keepAlive'
  | 'streamErrorOnInvalidMessage'
>;

/** Reads `http2_protocol_options`; undefined has the defaults. @throws ConfigError, paths relative to the message */
export function readHttp2Settings(options: Http2ProtocolOptions | undefined): Http2Settings {
  // Servers and clients differ here: a client may keep to Envoy's default too, and give the connection up.
  const { overrideStreamErrorOnInvalidHttpMessage: streamError, ...shared } = options ?? {};
  const settings = readHttp2ProtocolOptions(
    options === undefined ? undefined : (shared as Http2ProtocolOptions),
  );
  return {
    maxConcurrentStreams: settings.maxConcurrentStreams ?? HTTP2_CLIENT_DEFAULTS.maxConcurrentStreams,
    initialStreamWindowSize:
      settings.initialStreamWindowSize ?? HTTP2_CLIENT_DEFAULTS.initialStreamWindowSize,
    initialConnectionWindowSize:
      settings.initialConnectionWindowSize ?? HTTP2_CLIENT_DEFAULTS.initialConnectionWindowSize,
    hpackTableSize: settings.hpackTableSize ?? HTTP2_CLIENT_DEFAULTS.hpackTableSize,
    allowConnect: settings.allowConnect,
    customSettings: settings.customSettings,
    keepAlive: settings.keepAlive,
    // The deprecated field means the same, where the newer one says nothing.
    streamErrorOnInvalidMessage: streamError ?? options?.streamErrorOnInvalidHttpMessaging ?? false,
  };
}

/** What a client of HTTP/2 is made with. */
export function http2ClientOptions(
  settings: Http2Settings,
  { maxHeaderBytes, maxHeaderCount }: Pick<Http2ClientOptions, 'maxHeaderBytes' | 'maxHeaderCount'>,
  { clock, random }: Pick<Http2ClientOptions, 'clock' | 'random'>,
  scope: StatsScope,
): Http2ClientOptions {
  return { ...settings, maxHeaderBytes, maxHeaderCount, stats: createHttp2Stats(scope), clock, random };
}
