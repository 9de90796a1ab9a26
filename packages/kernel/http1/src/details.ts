/**
 * Envoy's `RESPONSE_CODE_DETAILS` of the HTTP/1 codec, and those of the connection manager which this codec decides
 * (Envoy: "Response Code Details", HTTP connection manager).
 */
export const Http1Details = {
  bodyDisallowed: 'http1.body_disallowed',
  codecError: 'http1.codec_error',
  contentLengthAndChunked: 'http1.content_length_and_chunked_not_allowed',
  contentLengthNotAllowed: 'http1.content_length_not_allowed',
  headersTooLarge: 'http1.headers_too_large',
  invalidCharacters: 'http1.invalid_characters',
  invalidTransferEncoding: 'http1.invalid_transfer_encoding',
  invalidUrl: 'http1.invalid_url',
  tooManyHeaders: 'http1.too_many_headers',
  trailersTooLarge: 'http1.trailers_too_large',
  tooManyTrailers: 'http1.too_many_trailers',
  transferEncodingNotAllowed: 'http1.transfer_encoding_not_allowed',
  unexpectedUnderscore: 'http1.unexpected_underscore',
  absolutePath: 'absolute_path_rejected',
  downstreamRemoteDisconnect: 'downstream_remote_disconnect',
  invalidAuthority: 'http.invalid_authority',
  invalidMethod: 'http.invalid_method',
  lowVersion: 'low_version',
  missingHost: 'missing_host_header',
} as const;
