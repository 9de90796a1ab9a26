/** Envoy's `response_code_details` of what HTTP/2 codecs find. */
export const Http2Details = {
  remoteReset: 'http2.remote_reset',
  remoteRefuse: 'http2.remote_refuse',
  tooManyHeaders: 'http2.too_many_headers',
  unexpectedUnderscore: 'http2.unexpected_underscore',
  invalidHeader: 'http2.invalid.header.field',
  messagingViolation: 'http2.violation.of.messaging.rule',
  protocolError: 'http2.protocol_error',
  invalidResponse: 'http2.invalid_response_headers',
  /** Not Envoy's: an upgrade for an upstream whose SETTINGS know no extended CONNECT. */
  connectProtocol: 'http2.extended_connect_not_allowed',
} as const;
