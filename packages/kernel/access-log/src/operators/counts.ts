import { ConfigError, type LogContext, type StreamInfo } from '@dragoman/core';
import { nearest } from '@dragoman/api';
import { absentOperator, numberOperator, type OperatorSpec, type OperatorTable, plain } from '../operator.ts';

function count(read: (info: StreamInfo) => number): OperatorSpec {
  return plain(numberOperator((context) => read(context.info)));
}

/** Whole milliseconds from `from` to `to`, undefined while one of them has not happened. */
function milliseconds(from: number, to: number): number | undefined {
  return from === 0 || to === 0 ? undefined : Math.trunc(to - from);
}

function duration(read: (info: StreamInfo) => number | undefined): OperatorSpec {
  return plain(numberOperator((context: LogContext) => read(context.info)));
}

/** Points in time of `%COMMON_DURATION%`. */
const TIME_POINTS: { readonly [name: string]: (info: StreamInfo) => number } = {
  // The connection's own start is known as wall time only.
  DS_CX_BEG: (info) => info.start - (info.startTime - info.connection.startTime),
  // A TCP stream is its connection; a request ends before its connection does.
  DS_CX_END: (info) => (info.protocol === undefined ? info.end : 0),
  DS_RX_BEG: (info) => info.start,
  DS_RX_END: (info) => info.lastDownstreamRxByteReceived,
  US_CX_BEG: (info) => info.upstreamConnectStart,
  US_CX_END: (info) => info.upstreamConnectComplete,
  US_HS_END: (info) => info.upstreamHandshakeComplete,
  US_TX_BEG: (info) => info.firstUpstreamTxByteSent,
  US_TX_END: (info) => info.lastUpstreamTxByteSent,
  US_RX_BEG: (info) => info.firstUpstreamRxByteReceived,
  US_RX_END: (info) => info.lastUpstreamRxByteReceived,
  DS_TX_BEG: (info) => info.firstDownstreamTxByteSent,
  DS_TX_END: (info) => info.lastDownstreamTxByteSent,
};

/** Units a millisecond has. */
const PRECISIONS: { readonly [name: string]: number } = { ms: 1, us: 1e3, ns: 1e6 };

function timePoint(name: string): (info: StreamInfo) => number {
  if (Object.hasOwn(TIME_POINTS, name)) return TIME_POINTS[name] as (info: StreamInfo) => number;
  if (name === 'US_RX_BODY_BEG') {
    throw ConfigError.at('', 'US_RX_BODY_BEG is not measured here: use US_RX_BEG, when the response begins');
  }
  throw ConfigError.at('', `"${name}" is not a point in time`, nearest(name, Object.keys(TIME_POINTS)));
}

const commonDuration: OperatorSpec = {
  parameters: 'required',
  length: false,
  compile(parameter) {
    const [start, end, precision = 'ms', ...more] = parameter.split(':');
    if (start === undefined || end === undefined || more.length > 0) {
      throw ConfigError.at('', `expected START:END or START:END:PRECISION, got "${parameter}"`);
    }
    if (!Object.hasOwn(PRECISIONS, precision)) {
      throw ConfigError.at('', `"${precision}" is not a precision: use ms, us or ns`);
    }
    const factor = PRECISIONS[precision] as number;
    const from = timePoint(start);
    const to = timePoint(end);
    return numberOperator((context) => {
      const begin = from(context.info);
      const finish = to(context.info);
      if (begin === 0 || finish === 0 || finish < begin) return undefined;
      // A clock's fraction is not exact in binary: 2.3 ms is 2,300 µs, not 2,299.
      return Math.trunc((finish - begin) * factor + 1e-6);
    });
  },
};

/** Until the end of the stream, or until now while it goes on. */
const total: OperatorSpec = {
  parameters: 'none',
  length: false,
  compile(_parameter, _maxLength, { clock }) {
    return numberOperator(({ info }) => Math.trunc((info.end === 0 ? clock.now() : info.end) - info.start));
  },
};

const headerBytes = {
  upstreamSent: count((info) => info.upstreamHeaderBytesSent),
  upstreamReceived: count((info) => info.upstreamHeaderBytesReceived),
  downstreamSent: count((info) => info.downstreamHeaderBytesSent),
  downstreamReceived: count((info) => info.downstreamHeaderBytesReceived),
};

/** Operators that are numbers: bytes, durations, codes. */
export const countOperators: OperatorTable = {
  BYTES_RECEIVED: count((info) => info.bytesReceived),
  BYTES_SENT: count((info) => info.bytesSent),
  // Of QUIC only; Envoy prints 0 for everything else.
  BYTES_RETRANSMITTED: count(() => 0),
  PACKETS_RETRANSMITTED: count(() => 0),
  UPSTREAM_WIRE_BYTES_SENT: count((info) => info.upstreamWireBytesSent),
  UPSTREAM_WIRE_BYTES_RECEIVED: count((info) => info.upstreamWireBytesReceived),
  DOWNSTREAM_WIRE_BYTES_SENT: count((info) => info.downstreamWireBytesSent),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: count((info) => info.downstreamWireBytesReceived),
  UPSTREAM_HEADER_BYTES_SENT: headerBytes.upstreamSent,
  UPSTREAM_HEADER_BYTES_RECEIVED: headerBytes.upstreamReceived,
  DOWNSTREAM_HEADER_BYTES_SENT: headerBytes.downstreamSent,
  DOWNSTREAM_HEADER_BYTES_RECEIVED: headerBytes.downstreamReceived,
  // HTTP/1 headers are not compressed.
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: headerBytes.upstreamSent,
  UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: headerBytes.upstreamReceived,
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT: headerBytes.downstreamSent,
  DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED: headerBytes.downstreamReceived,
  RESPONSE_CODE: count((info) => info.responseCode),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: count((info) => info.upstreamRequestAttemptCount),
  CONNECTION_ID: count((info) => info.connection.id),
  UPSTREAM_CONNECTION_ID: count((info) => info.upstreamConnectionId),
  DURATION: total,
  COMMON_DURATION: commonDuration,
  REQUEST_DURATION: duration((info) => milliseconds(info.start, info.lastDownstreamRxByteReceived)),
  REQUEST_TX_DURATION: duration((info) => milliseconds(info.start, info.lastUpstreamTxByteSent)),
  RESPONSE_DURATION: duration((info) => milliseconds(info.start, info.firstUpstreamRxByteReceived)),
  UPSTREAM_CONNECTION_POOL_READY_DURATION: duration((info) =>
    milliseconds(info.upstreamRequestStart, info.upstreamPoolReady),
  ),
  RESPONSE_TX_DURATION: duration((info) =>
    milliseconds(info.firstUpstreamRxByteReceived, info.lastDownstreamTxByteSent),
  ),
  DOWNSTREAM_HANDSHAKE_DURATION: duration((info) =>
    milliseconds(info.start, info.downstreamHandshakeComplete),
  ),
  // QUIC's last acknowledgement.
  ROUNDTRIP_DURATION: plain(absentOperator),
};
