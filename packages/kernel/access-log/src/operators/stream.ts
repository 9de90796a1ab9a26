import { ConfigError, type LogContext, responseFlagsLong, responseFlagsShort } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import {
  bytesOperator,
  type OperatorEnvironment,
  type OperatorSpec,
  type OperatorTable,
  plain,
  truncate,
  unicodeOperator,
} from '../operator.ts';
import { compileTimeFormat, defaultTimeFormatter } from '../time-format.ts';

function bytes(read: (context: LogContext) => string | undefined): OperatorSpec {
  return plain(bytesOperator(read));
}

/** A Unicode text; an empty one is no value. */
function text(read: (context: LogContext) => string | undefined): OperatorSpec {
  return plain(unicodeOperator((context) => read(context) || undefined));
}

/** `%START_TIME(FORMAT)%` and its kin. */
function timeSpec(
  local: boolean,
  read: (context: LogContext, environment: OperatorEnvironment) => number,
): OperatorSpec {
  return {
    parameters: 'optional',
    length: false,
    compile(parameter, _maxLength, environment) {
      if (parameter === '') {
        const format = defaultTimeFormatter(local);
        return bytesOperator((context) => format(read(context, environment)));
      }
      const format = compileTimeFormat(parameter, local);
      return unicodeOperator((context) => format(read(context, environment)));
    },
  };
}

const startTime = ({ info }: LogContext): number => info.startTime;
const emitTime = (_context: LogContext, { clock }: OperatorEnvironment): number => clock.wallTime();

/** Flags as words. Failures come in rows with the same flags: the last text is kept. */
function responseFlags(print: (flags: number) => string): OperatorSpec {
  return {
    parameters: 'none',
    length: false,
    compile() {
      let last = 0;
      let text = print(0);
      return bytesOperator(({ info }) => {
        if (info.responseFlags !== last) {
          last = info.responseFlags;
          text = print(last);
        }
        return text;
      });
    },
  };
}

const responseCodeDetails: OperatorSpec = {
  parameters: 'optional',
  length: false,
  compile(parameter) {
    if (parameter !== '' && parameter !== 'ALLOW_WHITESPACES') {
      throw ConfigError.at('', `"${parameter}" is not ALLOW_WHITESPACES`);
    }
    const keep = parameter !== '';
    return unicodeOperator(({ info }) => {
      const details = info.responseCodeDetails;
      if (details === '') return undefined;
      return keep ? details : details.replace(/\s/g, '_');
    });
  },
};

/** Where `%REQUESTED_SERVER_NAME%` finds the host of a request. */
function requestHost(source: string): (context: LogContext) => string | undefined {
  const original = (context: LogContext) => context.request?.get('x-envoy-original-host');
  const authority = (context: LogContext) => context.request?.authority || undefined;
  switch (source) {
    case 'ORIG':
      return original;
    case 'HOST':
      return authority;
    case '':
    case 'ORIG_OR_HOST':
      return (context) => original(context) ?? authority(context);
    default:
      throw ConfigError.at('', `"${source}" is not a source of the host: use ORIG, HOST or ORIG_OR_HOST`);
  }
}

const NOT_OF_A_HOST_NAME = /[^A-Za-z0-9.-]/g;

/** A name that a client made up may hold anything: what no host name holds becomes `_`, and the name is marked. */
function serverName(name: string): string | undefined {
  if (name === '') return undefined;
  const safe = utf8Bytes(name).replace(NOT_OF_A_HOST_NAME, '_');
  return safe === name ? name : `invalid:${safe}`;
}

const requestedServerName: OperatorSpec = {
  parameters: 'optional',
  length: false,
  compile(parameter) {
    const [order = '', source = '', ...more] = parameter.split(':');
    const sni = ({ info }: LogContext): string | undefined => serverName(info.connection.requestedServerName);
    const host = requestHost(source);
    if (more.length === 0) {
      switch (order) {
        case '':
        case 'SNI_ONLY':
          return bytesOperator(sni);
        case 'SNI_FIRST':
          return bytesOperator((context) => sni(context) ?? host(context));
        case 'HOST_FIRST':
          return bytesOperator((context) => host(context) ?? sni(context));
      }
    }
    throw ConfigError.at(
      '',
      `"${parameter}" is not SNI_ONLY, SNI_FIRST or HOST_FIRST, then a source of the host`,
    );
  },
};

const environment: OperatorSpec = {
  parameters: 'required',
  length: true,
  compile(parameter, maxLength, { env }) {
    const found = env[parameter];
    const value = found === undefined ? '-' : truncate(utf8Bytes(found), maxLength);
    return bytesOperator(() => value);
  },
};

const hostname: OperatorSpec = {
  parameters: 'none',
  length: false,
  compile(_parameter, _maxLength, { hostname: name }) {
    const value = utf8Bytes(name);
    return bytesOperator(() => value || undefined);
  },
};

const uniqueId: OperatorSpec = {
  parameters: 'none',
  length: false,
  compile: (_parameter, _maxLength, { random }) => bytesOperator(() => random.uuid()),
};

/** Operators about the stream and the process that are words. */
export const streamOperators: OperatorTable = {
  START_TIME: timeSpec(false, startTime),
  START_TIME_LOCAL: timeSpec(true, startTime),
  EMIT_TIME: timeSpec(false, emitTime),
  EMIT_TIME_LOCAL: timeSpec(true, emitTime),
  PROTOCOL: bytes(({ info }) => info.protocol),
  UPSTREAM_PROTOCOL: bytes(({ info }) => info.upstreamProtocol),
  RESPONSE_CODE_DETAILS: responseCodeDetails,
  CONNECTION_TERMINATION_DETAILS: text(
    ({ info }) => info.connectionTerminationDetails || info.connection.terminationDetails,
  ),
  RESPONSE_FLAGS: responseFlags(responseFlagsShort),
  RESPONSE_FLAGS_LONG: responseFlags(responseFlagsLong),
  UPSTREAM_CLUSTER: text(({ info }) => info.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: text(({ info }) => info.upstreamClusterInfo?.name ?? info.upstreamCluster),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text(({ info }) =>
    info.upstreamTransportFailureReason.replaceAll(' ', '_'),
  ),
  // For the log of the listener: never of requests on the connection, nor in the log of a TCP proxy, as in Envoy.
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: text(({ info, type }) =>
    type === 'NotSet' && info.protocol === undefined
      ? info.connection.transportFailureReason.replaceAll(' ', '_')
      : undefined,
  ),
  TLS_JA3_FINGERPRINT: text(({ info }) => info.connection.ja3Hash),
  TLS_JA4_FINGERPRINT: text(({ info }) => info.connection.ja4Hash),
  REQUESTED_SERVER_NAME: requestedServerName,
  FILTER_CHAIN_NAME: text(({ info }) => info.connection.filterChain?.name),
  ROUTE_NAME: text(({ info }) => info.route?.routeName),
  VIRTUAL_CLUSTER_NAME: text(({ info }) => info.virtualClusterName),
  STREAM_ID: bytes(({ info }) => info.requestId || undefined),
  UNIQUE_ID: uniqueId,
  HOSTNAME: hostname,
  ENVIRONMENT: environment,
  ACCESS_LOG_TYPE: bytes(({ type }) => type),
  LOCAL_REPLY_BODY: bytes(({ localReplyBody }) => localReplyBody ?? ''),
  // Nothing sets a custom flag: empty, not "-", as in Envoy.
  CUSTOM_FLAGS: bytes(() => ''),
};
