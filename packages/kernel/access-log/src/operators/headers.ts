import {
  ConfigError,
  type HeaderMap,
  type LogContext,
  NOT_WELL_KNOWN,
  type RequestHeaders,
  WELL_KNOWN_IDS,
} from '@dragoman/core';
import {
  bytesOperator,
  numberOperator,
  type OperatorSpec,
  type OperatorTable,
  truncate,
} from '../operator.ts';

type Select = (context: LogContext) => HeaderMap | undefined;
type ReadHeader = (headers: HeaderMap) => string | undefined;

/** A token (RFC 9110 section 5.6.2), or one with a colon before it for a pseudo-header. */
const HEADER_NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Well-known headers whose lines Envoy does not join. */
const NEVER_JOINED = new Set(['set-cookie', 'cookie']);

/**
 * Reads one header. As in Envoy, the lines of a well-known header are joined with commas, of any other the first
 * counts.
 */
function readHeader(name: string): ReadHeader {
  switch (name) {
    case ':method':
      return (headers) => (headers as RequestHeaders).method || undefined;
    case ':path':
      return (headers) => (headers as RequestHeaders).path || undefined;
    case ':authority':
      return (headers) => (headers as RequestHeaders).authority || undefined;
  }
  const id = WELL_KNOWN_IDS.get(name) ?? NOT_WELL_KNOWN;
  if (id < 0 || NEVER_JOINED.has(name)) return (headers) => headers.get(name);
  return (headers) => {
    if (!headers.hasKnown(id)) return undefined;
    const { ids } = headers;
    const first = ids.indexOf(id);
    return ids.indexOf(id, first + 1) < 0 ? headers.values[first] : headers.getJoined(name);
  };
}

/** The readers of `X?Y`: of the main header, and of the alternative one. */
function headerReaders(parameter: string): [main: ReadHeader, other: ReadHeader | undefined] {
  const names = parameter.toLowerCase().split('?');
  if (names.length > 2) throw ConfigError.at('', `more than one alternative header in "${parameter}"`);
  for (const name of names) {
    if (name !== '' && HEADER_NAME.test(name)) continue;
    if (name === '' && names.length === 2 && names[0] !== '') continue; // "X?" is "X"
    throw ConfigError.at('', `"${name}" is not a header name`);
  }
  const main = readHeader(names[0] as string);
  return [main, names[1] === undefined || names[1] === '' ? undefined : readHeader(names[1])];
}

/** `%REQ(X?Y):Z%` and its kin. */
function headerSpec(select: Select): OperatorSpec {
  return {
    parameters: 'required',
    length: true,
    compile(parameter, maxLength) {
      const [main, other] = headerReaders(parameter);
      if (maxLength === undefined && other === undefined) {
        return bytesOperator((context) => {
          const headers = select(context);
          return headers === undefined ? undefined : main(headers);
        });
      }
      return bytesOperator((context) => {
        const headers = select(context);
        if (headers === undefined) return undefined;
        const value = main(headers) ?? (other === undefined ? undefined : other(headers));
        return value === undefined ? undefined : truncate(value, maxLength);
      });
    },
  };
}

const request = headerSpec((context) => context.request);
const response = headerSpec((context) => context.response);
const trailer = headerSpec((context) => context.responseTrailers);

/** `%REQ_WITHOUT_QUERY(X?Y):Z%`: as `%REQ(X?Y):Z%`, up to the first question mark of the value. */
const requestWithoutQuery: OperatorSpec = {
  parameters: 'required',
  length: true,
  compile(parameter, maxLength) {
    const [main, other] = headerReaders(parameter);
    return bytesOperator(({ request: headers }) => {
      if (headers === undefined) return undefined;
      const value = main(headers) ?? (other === undefined ? undefined : other(headers));
      return value === undefined ? undefined : truncate(withoutQuery(value), maxLength);
    });
  },
};

function withoutQuery(value: string): string {
  const query = value.indexOf('?');
  return query < 0 ? value : value.slice(0, query);
}

function sizeSpec(select: Select): OperatorSpec {
  const operator = numberOperator((context) => select(context)?.byteSize() ?? 0);
  return { parameters: 'none', length: false, compile: () => operator };
}

/** Where a request's path is to be read from. */
function pathReader(source: string): (headers: RequestHeaders) => string | undefined {
  switch (source) {
    case '':
    case 'ORIG_OR_PATH':
      return (headers) => headers.get('x-envoy-original-path') ?? (headers.path || undefined);
    case 'ORIG':
      return (headers) => headers.get('x-envoy-original-path');
    case 'PATH':
      return (headers) => headers.path || undefined;
    default:
      throw ConfigError.at('', `"${source}" is not a source of the path: use ORIG, PATH or ORIG_OR_PATH`);
  }
}

const path: OperatorSpec = {
  parameters: 'optional',
  length: true,
  compile(parameter, maxLength) {
    const [form = '', source = '', ...more] = parameter.split(':');
    if (more.length > 0 || (form !== '' && form !== 'WQ' && form !== 'NQ')) {
      throw ConfigError.at('', `"${parameter}" is not a form of the path: use WQ or NQ, then a source`);
    }
    const read = pathReader(source);
    return bytesOperator((context) => {
      const value = context.request === undefined ? undefined : read(context.request);
      if (value === undefined) return undefined;
      return truncate(form === 'NQ' ? withoutQuery(value) : value, maxLength);
    });
  },
};

/** The query string of a path, without its question mark and a fragment; undefined when there is none. */
function queryOf(headers: RequestHeaders | undefined): string | undefined {
  if (headers === undefined) return undefined;
  const start = headers.path.indexOf('?');
  if (start < 0) return undefined;
  const fragment = headers.path.indexOf('#', start);
  return headers.path.slice(start + 1, fragment < 0 ? undefined : fragment);
}

/** Percent decoding, byte by byte; what is no escape stays as it is. */
export function percentDecode(value: string): string {
  if (!value.includes('%')) return value;
  return value.replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const queryParam: OperatorSpec = {
  parameters: 'required',
  length: true,
  compile(parameter, maxLength) {
    return bytesOperator((context) => {
      const query = queryOf(context.request);
      if (query === undefined) return undefined;
      for (const pair of query.split('&')) {
        const equals = pair.indexOf('=');
        if (percentDecode(equals < 0 ? pair : pair.slice(0, equals)) !== parameter) continue;
        return truncate(equals < 0 ? '' : percentDecode(pair.slice(equals + 1)), maxLength);
      }
      return undefined;
    });
  },
};

const queryParams: OperatorSpec = {
  parameters: 'optional',
  length: true,
  compile(parameter, maxLength) {
    if (parameter !== '' && parameter !== 'ORIG' && parameter !== 'DECODED') {
      throw ConfigError.at('', `"${parameter}" is not a form of the query: use ORIG or DECODED`);
    }
    return bytesOperator((context) => {
      const query = queryOf(context.request);
      if (query === undefined) return undefined;
      return truncate(parameter === 'DECODED' ? percentDecode(query) : query, maxLength);
    });
  },
};

/** Operators that read headers, trailers and the request target. */
export const headerOperators: OperatorTable = {
  REQ: request,
  REQUEST_HEADER: request,
  REQ_WITHOUT_QUERY: requestWithoutQuery,
  RESP: response,
  RESPONSE_HEADER: response,
  TRAILER: trailer,
  RESPONSE_TRAILER: trailer,
  REQUEST_HEADERS_BYTES: sizeSpec((context) => context.request),
  RESPONSE_HEADERS_BYTES: sizeSpec((context) => context.response),
  RESPONSE_TRAILERS_BYTES: sizeSpec((context) => context.responseTrailers),
  PATH: path,
  QUERY_PARAM: queryParam,
  QUERY_PARAMS: queryParams,
};
