import { createFormatterFactory } from '@dragoman/access-log';
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  create,
  HeaderValueOptionSchema,
  type MessageInitShape,
} from '@dragoman/api';
import {
  Address,
  ConfigError,
  type LogContext,
  RequestHeaders,
  ResponseFlag,
  ResponseHeaders,
  StreamInfo,
} from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { compileHeaderMutation } from '@dragoman/header-edits';

const formatters = createFormatterFactory({
  clock: new FakeClock(),
  hostname: 'node-1',
  env: { REGION: 'eu' },
});

type Option = MessageInitShape<typeof HeaderValueOptionSchema>;

function compile(add: readonly Option[], remove: readonly string[] = []) {
  const options = add.map((option) => create(HeaderValueOptionSchema, option));
  return compileHeaderMutation(options, remove, formatters, 'to_add', 'to_remove');
}

/** A request on its way: nothing is known of an upstream yet. */
function context(): LogContext {
  const connection = {
    id: 7,
    localAddress: Address.ip('127.0.0.2', 10_000),
    directRemoteAddress: Address.ip('127.0.0.3', 63_443),
    remoteAddress: Address.ip('127.0.0.3', 63_443),
    requestedServerName: '',
    applicationProtocols: [],
    transportProtocol: 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: 0,
    transportFailureReason: '',
    terminationDetails: '',
  };
  const info = new StreamInfo(connection, Date.UTC(2018, 3, 3, 23, 6, 9, 123), 0);
  info.protocol = 'HTTP/1.1';
  info.remoteAddress = Address.ip('127.0.0.1', 0);
  info.setResponseFlag(ResponseFlag.LocalReset);
  info.responseCodeDetails = 'via upstream';
  info.dynamicMetadata.set('ns', { key: 'value', 'k"q"': 'quoted', list: [1, 2] });
  info.filterState.set('testing', { toText: () => 'test_value', toJson: () => ({ field: 'f' }) });
  const request = new RequestHeaders();
  request.method = 'GET';
  request.path = '/a?b=c%0a';
  request.authority = 'host.example';
  request.append('x-request-id', '123');
  request.append('x-latin', '\xe9');
  const response = new ResponseHeaders();
  response.status = 200;
  response.append('server', 'up');
  return { info, request, response, responseTrailers: undefined, type: 'NotSet' };
}

function values(option: Option, before: readonly string[] = []): readonly string[] {
  const headers = new ResponseHeaders();
  for (const value of before) headers.append('x', value);
  compile([option])?.apply(headers, context());
  return headers.getAll('x');
}

describe('the value of a header to add', () => {
  // As in Envoy's header_formatter_test; an empty value adds no header.
  it.each<[value: string, expected: string | undefined]>([
    ['', undefined],
    ['plain', 'plain'],
    ['%PROTOCOL%', 'HTTP/1.1'],
    ['[%PROTOCOL%', '[HTTP/1.1'],
    ['%PROTOCOL%]', 'HTTP/1.1]'],
    ['[%PROTOCOL%]', '[HTTP/1.1]'],
    ['%%', '%'],
    ['%%%%', '%%'],
    ['100%% sure', '100% sure'],
    ['%%%PROTOCOL%', '%HTTP/1.1'],
    ['%PROTOCOL%%%', 'HTTP/1.1%'],
    ['%%%PROTOCOL%%%', '%HTTP/1.1%'],
    ['%PROTOCOL%%RESPONSE_FLAGS%', 'HTTP/1.1LR'],
    ['%DOWNSTREAM_REMOTE_ADDRESS%', '127.0.0.1:0'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '127.0.0.1'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)%', '127.0.0.0/8'],
    ['%DOWNSTREAM_REMOTE_PORT%', '0'],
    ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', '127.0.0.3:63443'],
    ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%', '127.0.0.3'],
    ['%DOWNSTREAM_DIRECT_REMOTE_PORT%', '63443'],
    ['%DOWNSTREAM_LOCAL_ADDRESS%', '127.0.0.2:10000'],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', '127.0.0.2'],
    ['%DOWNSTREAM_LOCAL_PORT%', '10000'],
    ['%UPSTREAM_REMOTE_ADDRESS%', undefined],
    ['via %UPSTREAM_REMOTE_ADDRESS%', 'via '],
    ['%UPSTREAM_REMOTE_PORT%', undefined],
    ['%UPSTREAM_LOCAL_ADDRESS%', undefined],
    ['%UPSTREAM_METADATA(ns:key)%', undefined],
    ['%DYNAMIC_METADATA(ns:key)%', 'value'],
    ['%DYNAMIC_METADATA(["ns", "key"])%', 'value'],
    ['%DYNAMIC_METADATA( [ "ns" , "k\\"q\\"" ] )%', 'quoted'],
    ['%DYNAMIC_METADATA(ns:list)%', '[1,2]'],
    ['%FILTER_STATE(testing:PLAIN)%', 'test_value'],
    ['%FILTER_STATE(testing)%', '{"field":"f"}'],
    ['%FILTER_STATE(testing:FIELD:field)%', 'f'],
    ['%PER_REQUEST_STATE(testing)%', 'test_value'],
    ['%PER_REQUEST_STATE(none)%', undefined],
    ['%REQUESTED_SERVER_NAME%', undefined],
    ['%DOWNSTREAM_TLS_VERSION%', undefined],
    ['%DOWNSTREAM_PEER_CERT_V_START(%Y)%', undefined],
    ['%REQ(x-request-id)%', '123'],
    ['%REQ(x-none?x-request-id):2%', '12'],
    ['%REQ(x-none)%', undefined],
    ['%REQ(x-latin)%', '\xe9'],
    ['%REQ(:path)% %REQ(:authority)%', '/a?b=c%0a host.example'],
    ['%RESP(server)%', 'up'],
    ['%QUERY_PARAM(b)%', 'c\\n'],
    ['%START_TIME%', '2018-04-03T23:06:09.123Z'],
    ['%START_TIME(%s %3f)%', '1522796769 123'],
    ['%RESPONSE_FLAGS%', 'LR'],
    ['%RESPONSE_CODE_DETAILS%', 'via_upstream'],
    ['%RESPONSE_CODE%', '0'],
    ['%HOSTNAME%', 'node-1'],
    ['%ENVIRONMENT(REGION)%', 'eu'],
    ['%CONNECTION_ID%', '7'],
    ['é %PROTOCOL%', '\xc3\xa9 HTTP/1.1'],
  ])('%j is %j', (value, expected) => {
    expect(values({ header: { key: 'X', value } })).toEqual(expected === undefined ? [] : [expected]);
    const kept = values({ header: { key: 'X', value }, keepEmptyValue: true });
    expect(kept).toEqual([expected ?? '']);
  });

  it.each([
    ['%', 'no operator can be read at position 0'],
    ['before %', 'no operator can be read at position 7'],
    ['%% infix %', 'no operator can be read at position 9'],
    ['%INVALID%', 'unknown operator %INVALID%'],
    ['before %INVALID%', 'unknown operator %INVALID%'],
    ['%PROTOCOL', 'no operator can be read at position 0'],
    ['%PROTOCOL %', 'no operator can be read at position 0'],
    ['%REQ%', '%REQ% needs a parameter'],
    ['%REQ(a', 'no operator can be read'],
    ['%UPSTREAM_METADATA%', '%UPSTREAM_METADATA% needs a parameter'],
    ['%UPSTREAM_METADATA(["a"])%', 'is not a JSON list of a namespace and at least one key'],
    ['%START_TIME(%n)%', 'would write a newline'],
    ['%CEL(request.path)%', 'envoy.formatter.cel'],
  ])('%j is refused', (value, message) => {
    const refused = () => compile([{ header: { key: 'ok', value: 'a' } }, { header: { key: 'x', value } }]);
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow('to_add[1].header.value: ');
    expect(refused).toThrow(message);
  });
});

describe('append_action', () => {
  const { APPEND_IF_EXISTS_OR_ADD, ADD_IF_ABSENT, OVERWRITE_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS } =
    AppendAction;
  const table: [AppendAction, before: string[], after: string[]][] = [
    [APPEND_IF_EXISTS_OR_ADD, [], ['new']],
    [APPEND_IF_EXISTS_OR_ADD, ['a'], ['a', 'new']],
    [APPEND_IF_EXISTS_OR_ADD, ['a', 'b'], ['a', 'b', 'new']],
    [ADD_IF_ABSENT, [], ['new']],
    [ADD_IF_ABSENT, ['a'], ['a']],
    [ADD_IF_ABSENT, [''], ['']],
    [OVERWRITE_IF_EXISTS_OR_ADD, [], ['new']],
    [OVERWRITE_IF_EXISTS_OR_ADD, ['a', 'b'], ['new']],
    [OVERWRITE_IF_EXISTS, [], []],
    [OVERWRITE_IF_EXISTS, ['a'], ['new']],
    [OVERWRITE_IF_EXISTS, ['a', 'b'], ['new']],
  ];
  it.each(table)('%i on %j gives %j, and with an operator too', (appendAction, before, after) => {
    expect(values({ header: { key: 'x', value: 'new' }, appendAction }, before)).toEqual(after);
    const operator = { header: { key: 'x', value: '%REQ(x-request-id)%' }, appendAction };
    const written = after.map((value) => (value === 'new' ? '123' : value));
    expect(values(operator, before)).toEqual(written);
    // An empty value changes nothing; one that is to be kept does as any other.
    const empty = { header: { key: 'x', value: '%REQ(x-none)%' }, appendAction };
    expect(values(empty, before)).toEqual(before);
    const kept = after.map((value) => (value === 'new' ? '' : value));
    expect(values({ ...empty, keepEmptyValue: true }, before)).toEqual(kept);
    expect(values({ header: { key: 'x', value: '' }, appendAction }, before)).toEqual(before);
    expect(values({ header: { key: 'x', value: '' }, appendAction, keepEmptyValue: true }, before)).toEqual(
      kept,
    );
  });

  it.each<[append: boolean, before: string[], after: string[]]>([
    [true, ['a'], ['a', 'new']],
    [true, [], ['new']],
    [false, ['a', 'b'], ['new']],
    [false, [], ['new']],
  ])('the older append, %s, on %j gives %j', (append, before, after) => {
    expect(values({ header: { key: 'x', value: 'new' }, append }, before)).toEqual(after);
  });
});

describe('the edits of a level', () => {
  it('remove first, work values out on what was there, overwrite, then add', () => {
    const headers = new ResponseHeaders();
    for (const [name, value] of [
      ['a', '1'],
      ['b', '2'],
      ['gone', '3'],
    ] as const)
      headers.append(name, value);
    const edits = compile(
      [
        { header: { key: 'a', value: 'added' } },
        { header: { key: 'a', value: 'set' }, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD },
        { header: { key: 'gone', value: 'back' }, appendAction: AppendAction.ADD_IF_ABSENT },
        { header: { key: 'b', value: '%RESP(a)%%RESP(gone)%' } },
      ],
      ['GONE', 'none'],
    );
    expect(edits?.dynamic).toBe(true);
    const log = { ...context(), response: headers };
    edits?.apply(headers, log);
    expect(headers.getAll('a')).toEqual(['set', 'added']);
    expect(headers.getAll('b')).toEqual(['2', '1']);
    expect(headers.getAll('gone')).toEqual(['back']);
  });

  it('without an operator need no context', () => {
    const edits = compile([{ header: { key: 'a', value: '1' } }]);
    expect(edits?.dynamic).toBe(false);
    const headers = new ResponseHeaders();
    edits?.apply(headers, undefined);
    expect(headers.getAll('a')).toEqual(['1']);
  });

  it('are none for empty lists', () => expect(compile([])).toBeUndefined());
});
