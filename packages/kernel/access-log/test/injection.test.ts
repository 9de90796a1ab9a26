import { type LogContext, RequestHeaders, ResponseHeaders, Trailers } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFormatterFactory, DEFAULT_FORMAT } from '../src/index.ts';
import { safeText } from '../src/escape.ts';
import { emptyContext, host, jsonMessage } from './fixtures.ts';

/** Values with everything that could break a line, likelier than in plain random text. */
const nasty = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      '\n',
      '\r',
      '\0',
      '\x1b',
      '\x7f',
      '\u0085',
      '\u010a',
      '\u2028',
      '"',
      '\\',
      '%',
      'a',
      ' ',
    ),
  }),
  fc.string({ unit: 'binary' }),
  fc.string(),
);

const OPERATORS = [
  'REQ(:METHOD)',
  'REQ(:PATH)',
  'REQ(:AUTHORITY)',
  'REQ(x-a)',
  'REQ(x-b?x-a):5',
  'RESP(x-a)',
  'TRAILER(x-a)',
  'QUERY_PARAM(q)',
  'XFCC_VALUE(uri)',
  'METADATA(VIRTUAL_HOST:n:k)',
  'DOWNSTREAM_PEER_EMAIL_SAN',
  'UPSTREAM_SERVER_NAME',
  'QUERY_PARAMS(DECODED)',
  'QUERY_PARAMS',
  'PATH',
  'PATH(NQ)',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)',
  'CONNECTION_TERMINATION_DETAILS',
  'UPSTREAM_HOST_NAME',
  'UPSTREAM_HOST_NAME_WITHOUT_PORT',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  'REQUESTED_SERVER_NAME',
  'REQUESTED_SERVER_NAME(HOST_FIRST)',
  'ROUTE_NAME',
  'VIRTUAL_CLUSTER_NAME',
  'STREAM_ID',
  'HOSTNAME',
  'ENVIRONMENT(E)',
  'LOCAL_REPLY_BODY',
  'DYNAMIC_METADATA(n:k)',
  'DYNAMIC_METADATA(n)',
  'UPSTREAM_METADATA(n:k)',
  'FILTER_STATE(f:PLAIN)',
  'FILTER_STATE(f)',
  'FILTER_STATE(f:FIELD:k)',
  'DOWNSTREAM_PEER_SUBJECT',
  'DOWNSTREAM_PEER_DNS_SAN',
  'DOWNSTREAM_PEER_CERT',
  'UPSTREAM_PEER_SUBJECT',
  'GRPC_STATUS',
  'COALESCE({"operators": [{"command": "REQ", "param": "x-a"}]}):3',
].map((operator) => `%${operator}%`);

/** A stream all of whose words are `value`. */
function contextOf(value: string): LogContext {
  const context = emptyContext({ requestedServerName: value, transportFailureReason: value });
  const { info } = context;
  info.responseCodeDetails = value;
  info.connectionTerminationDetails = value;
  info.upstreamCluster = value;
  info.upstreamTransportFailureReason = value;
  info.virtualClusterName = value;
  info.requestId = value;
  const virtualHostMetadata = new Map([['n', { k: value }]]);
  info.route = { routeName: value, virtualHostName: value, virtualHostMetadata };
  info.upstreamHost = { ...host, hostname: value, metadata: new Map([['n', { k: value }]]) };
  info.dynamicMetadata.set('n', { k: value, [value]: [value] });
  info.filterState.set('f', { toText: () => value, toJson: () => ({ k: value }) });
  const tls = {
    version: value,
    cipher: value,
    peerSubject: value,
    peerDnsSans: [value, value],
    peerEmailSans: [value],
    serverName: value,
    peerCertificatePem: value.toWellFormed(),
  };
  info.connection.tls = tls;
  info.upstreamTls = tls;
  const request = new RequestHeaders();
  request.method = value;
  request.path = `/${value}?q=%0a%0D%00${value}`;
  request.authority = value;
  request.append('x-a', value);
  request.append('content-type', 'application/grpc');
  request.append('x-forwarded-client-cert', `URI=${value}`);
  const response = new ResponseHeaders();
  response.append('x-a', value);
  const responseTrailers = new Trailers();
  responseTrailers.append('x-a', value);
  responseTrailers.append('grpc-status', value);
  return { ...context, request, response, responseTrailers, localReplyBody: value };
}

function factoryFor(value: string) {
  return createFormatterFactory({ hostname: value, env: { E: value } });
}

describe('log injection', () => {
  it('cannot break a text line', () => {
    fc.assert(
      fc.property(nasty, (value) => {
        const factory = factoryFor(value);
        const context = contextOf(value);
        for (const format of [
          `${OPERATORS.join(' ')}\n`,
          DEFAULT_FORMAT,
          ...OPERATORS.map((one) => `${one}\n`),
        ]) {
          const line = factory.text(format).format(context);
          // One newline, the format's own, at the end; no other control character; bytes only.
          expect(line.slice(0, -1)).not.toMatch(/[^\t\x20-\x7e\x80-\xff]/);
          expect(line.endsWith('\n')).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('cannot break a text format of several lines, nor a header value', () => {
    fc.assert(
      fc.property(nasty, (value) => {
        const factory = factoryFor(value);
        const context = contextOf(value);
        expect(
          factory
            .text(`a\n${OPERATORS.join('\n')}\n`)
            .format(context)
            .split('\n'),
        ).toHaveLength(OPERATORS.length + 2);
        expect(factory.text(OPERATORS.join(' ')).format(context)).not.toMatch(/[\r\n\0]/);
      }),
      { numRuns: 100 },
    );
  });

  it('cannot break a JSON line, and JSON holds what was sent', () => {
    fc.assert(
      fc.property(nasty, (value) => {
        const factory = factoryFor(value);
        const format = Object.fromEntries(OPERATORS.map((one, i) => [`k${i}`, [one, `<${one}>`]]));
        const line = factory
          .fromConfig(jsonMessage({ ...format, detail: '%CONNECTION_TERMINATION_DETAILS%' }))
          .format(contextOf(value));
        expect(line).not.toMatch(/[^\x00-\xff]/);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const parsed = JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
        expect(Object.keys(parsed)).toHaveLength(OPERATORS.length + 1);
        expect(parsed.detail).toBe(value === '' ? null : value);
      }),
      { numRuns: 150 },
    );
  });

  it('shows what it escaped', () => {
    expect(safeText('a\nb\rc\0d\x1be\tf\x7f')).toBe('a\\nb\\rc\\x00d\\x1be\tf\\x7f');
    expect(safeText('\u010a')).toBe('\xc4\x8a');
    expect(safeText('plain \xc3\xa9')).toBe('plain \xc3\xa9');
  });
});
