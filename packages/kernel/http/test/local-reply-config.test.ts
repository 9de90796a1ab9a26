import { createFormatterFactory } from '@dragoman/access-log';
import type { ConfigError, LocalReply } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ask, ManagerRig, type RigOptions } from './manager-rig.ts';

const formatters = createFormatterFactory({ env: { REPLY: 'from a variable' } });
const GRPC = ['content-type: application/grpc', 'content-length: 0'];
const ANY = { not_health_check_filter: {} };
const status = (value: number, op = 'EQ') => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'unused' } } },
});
const header = (key: string, value: string, more: object = {}) => ({ header: { key, value }, ...more });

/** What the terminal filter replies, unless a row says otherwise. */
const DOWN: LocalReply = { status: 503, body: 'no healthy upstream', details: 'no_healthy_upstream' };

interface Row {
  readonly name: string;
  readonly config: JsonObject;
  readonly reply?: LocalReply;
  /** The request line and further lines; default: GET /. */
  readonly request?: readonly string[];
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** `%LOCAL_REPLY_BODY%` of the access log. */
  readonly logged?: string | undefined;
}

const ROWS: readonly Row[] = [
  {
    name: 'nothing configured',
    config: {},
    status: 503,
    body: 'no healthy upstream',
    logged: 'no healthy upstream',
  },
  {
    name: 'no mapper fits',
    config: { mappers: [{ filter: status(500), status_code: 418, body: { inline_string: 'x' } }] },
    status: 503,
    body: 'no healthy upstream',
    headers: { 'content-type': 'text/plain' },
  },
  {
    name: 'a status',
    config: { mappers: [{ filter: status(503), status_code: 429 }] },
    status: 429,
    body: 'no healthy upstream',
    headers: { 'content-length': '19', 'content-type': 'text/plain' },
  },
  {
    name: 'a body',
    config: { mappers: [{ filter: ANY, body: { inline_string: 'mapped é' } }] },
    status: 503,
    body: 'mapped é',
    headers: { 'content-length': '9', 'content-type': 'text/plain' },
    logged: Buffer.from('mapped é').toString('latin1'),
  },
  {
    name: 'bytes as a body',
    config: { mappers: [{ filter: ANY, body: { inline_bytes: Buffer.from('raw').toString('base64') } }] },
    status: 503,
    body: 'raw',
  },
  {
    name: 'an empty body: neither type nor length',
    config: { mappers: [{ filter: ANY, body: { inline_string: '' } }] },
    status: 503,
    body: '',
    headers: { 'content-length': '0', 'content-type': undefined },
    logged: undefined,
  },
  {
    name: 'the first mapper that fits, and only it',
    config: {
      mappers: [
        { filter: status(500), status_code: 501 },
        { filter: status(500, 'GE'), status_code: 502, body: { inline_string: 'second' } },
        { filter: ANY, status_code: 504, headers_to_add: [header('x-third', '1')] },
      ],
    },
    status: 502,
    body: 'second',
    headers: { 'x-third': undefined },
  },
  {
    name: 'a filter on a header of the request',
    config: {
      mappers: [
        {
          filter: { header_filter: { header: { name: 'x-kind', string_match: { exact: 'robot' } } } },
          body: { inline_string: 'for robots' },
        },
      ],
    },
    request: ['GET / HTTP/1.1', 'x-kind: robot'],
    status: 503,
    body: 'for robots',
  },
  {
    name: 'several filters',
    config: {
      mappers: [{ filter: { and_filter: { filters: [status(503), status(500, 'GE')] } }, status_code: 510 }],
    },
    status: 510,
    body: 'no healthy upstream',
  },
  {
    name: 'headers: added, overwritten, and with what was before the status changed',
    config: {
      mappers: [
        {
          filter: ANY,
          status_code: 429,
          headers_to_add: [
            header('x-own', 'added'),
            header('x-set', 'over', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
            header('x-code', '%RESPONSE_CODE% %RESP(:status)% %REQ(:path)% %LOCAL_REPLY_BODY%'),
          ],
        },
      ],
    },
    reply: {
      ...DOWN,
      modifyHeaders(headers) {
        headers.set('x-own', 'there');
        headers.set('x-set', 'there');
      },
    },
    status: 429,
    body: 'no healthy upstream',
    headers: { 'x-own': 'there', 'x-set': 'over', 'x-code': '503 503 / no healthy upstream' },
  },
  {
    name: 'a text format for all',
    config: { body_format: { text_format: '<h1>%RESPONSE_CODE%</h1>%LOCAL_REPLY_BODY% %REQ(:path)%\n' } },
    status: 503,
    body: '<h1>503</h1>no healthy upstream /\n',
    headers: { 'content-type': 'text/plain', 'content-length': '34' },
    logged: 'no healthy upstream',
  },
  {
    name: 'a text format with a type, after a mapper',
    config: {
      mappers: [{ filter: ANY, status_code: 404, body: { inline_string: 'gone\nfor good' } }],
      body_format: {
        text_format: '%RESPONSE_CODE%: %LOCAL_REPLY_BODY%',
        content_type: 'text/html; charset=UTF-8',
      },
    },
    status: 404,
    body: '404: gone\nfor good',
    headers: { 'content-type': 'text/html; charset=UTF-8' },
    logged: 'gone\nfor good',
  },
  {
    name: 'a text format from a source',
    config: { body_format: { text_format_source: { environment_variable: 'REPLY' } } },
    status: 503,
    body: 'from a variable',
  },
  {
    name: 'a JSON format: its own type, a newline at the end',
    config: {
      body_format: {
        json_format: { status: '%RESPONSE_CODE%', message: '%LOCAL_REPLY_BODY%', path: '%REQ(:path)%' },
      },
    },
    status: 503,
    body: '{"message":"no healthy upstream","path":"/","status":503}\n',
    headers: { 'content-type': 'application/json', 'content-length': '58' },
  },
  {
    name: 'a JSON format with a type',
    config: { body_format: { json_format: { a: 1 }, content_type: 'application/problem+json' } },
    status: 503,
    body: '{"a":1}\n',
    headers: { 'content-type': 'application/problem+json' },
  },
  {
    name: "a mapper's format wins over that of all",
    config: {
      mappers: [{ filter: ANY, body_format_override: { json_format: { own: '%LOCAL_REPLY_BODY%' } } }],
      body_format: { text_format: 'for all' },
    },
    status: 503,
    body: '{"own":"no healthy upstream"}\n',
    headers: { 'content-type': 'application/json' },
  },
  {
    name: 'the format of all where a mapper has none',
    config: { mappers: [{ filter: ANY, status_code: 504 }], body_format: { text_format: 'for all' } },
    status: 504,
    body: 'for all',
  },
  {
    name: 'a format makes a body where there was none',
    config: { body_format: { text_format: 'code %RESPONSE_CODE%%LOCAL_REPLY_BODY%' } },
    reply: { status: 403, details: 'x' },
    status: 403,
    body: 'code 403',
    headers: { 'content-type': 'text/plain', 'content-length': '8' },
    logged: undefined,
  },
  {
    name: "the type of the reply's maker stays while its body does",
    config: { mappers: [{ filter: ANY, status_code: 504 }] },
    reply: { ...DOWN, modifyHeaders: (headers) => headers.set('content-type', 'text/html') },
    status: 504,
    body: 'no healthy upstream',
    headers: { 'content-type': 'text/html' },
  },
  {
    name: 'and goes with it',
    config: { body_format: { json_format: { a: 1 } } },
    reply: { ...DOWN, modifyHeaders: (headers) => headers.set('content-type', 'text/html') },
    status: 503,
    body: '{"a":1}\n',
    headers: { 'content-type': 'application/json' },
  },
  {
    name: 'a type that a mapper sets counts, whatever the format',
    config: {
      mappers: [
        {
          filter: ANY,
          body: { inline_string: '<a/>' },
          headers_to_add: [
            header('content-type', 'text/xml', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
          ],
        },
      ],
      body_format: { text_format: '<r>%LOCAL_REPLY_BODY%</r>' },
    },
    status: 503,
    body: '<r><a/></r>',
    headers: { 'content-type': 'text/xml' },
  },
  {
    name: 'HEAD: the length of what is not sent',
    config: { body_format: { text_format: 'twelve bytes' } },
    request: ['HEAD / HTTP/1.1'],
    status: 503,
    body: '',
    headers: { 'content-length': '12', 'content-type': 'text/plain' },
    logged: 'no healthy upstream',
  },
  {
    name: 'gRPC: status and message from what was rewritten',
    config: {
      mappers: [{ filter: status(503), status_code: 404, body: { inline_string: 'not 100% there' } }],
    },
    request: ['POST /a.B/C HTTP/1.1', ...GRPC],
    status: 200,
    body: '',
    headers: {
      'grpc-status': '12',
      'grpc-message': 'not 100%25 there',
      'content-type': 'application/grpc',
      'content-length': '0',
    },
  },
  {
    name: 'gRPC: a JSON format without its newline',
    config: { body_format: { json_format: { m: '%LOCAL_REPLY_BODY%' } } },
    request: ['POST /a.B/C HTTP/1.1', ...GRPC],
    status: 200,
    body: '',
    headers: { 'grpc-status': '14', 'grpc-message': '{"m":"no healthy upstream"}' },
  },
  {
    name: 'gRPC: a JSON format of another type keeps it',
    config: { body_format: { json_format: { a: 1 }, content_type: 'text/json' } },
    request: ['POST /a.B/C HTTP/1.1', ...GRPC],
    status: 200,
    body: '',
    headers: { 'grpc-message': '{"a":1}%0A' },
  },
  {
    name: "gRPC: the reply's own status stays",
    config: { mappers: [{ filter: ANY, status_code: 404 }] },
    reply: { ...DOWN, grpcStatus: 8 },
    request: ['POST /a.B/C HTTP/1.1', ...GRPC],
    status: 200,
    body: '',
    headers: { 'grpc-status': '8' },
  },
  {
    name: 'gRPC: a status that a mapper adds counts',
    config: { mappers: [{ filter: ANY, headers_to_add: [header('grpc-status', '3')] }] },
    request: ['POST /a.B/C HTTP/1.1', ...GRPC],
    status: 200,
    body: '',
    headers: { 'grpc-status': '3' },
  },
];

describe('local_reply_config', () => {
  test.each(ROWS)('$name', async ({ config, reply = DOWN, request = [], ...expected }) => {
    const rig = new ManagerRig({
      manager: { local_reply_config: config },
      context: { formatters },
      upstream: { headers: (stream) => stream.reply(reply) },
    });
    await rig.request(...request);
    const [response, ...others] = rig.responses(request[0]?.startsWith('HEAD') === true);
    expect(others).toEqual([]);
    expect(response?.status).toBe(expected.status);
    expect(response?.body.toString()).toBe(expected.body);
    for (const [name, value] of Object.entries(expected.headers ?? {}))
      expect([name, response?.header(name)]).toEqual([name, value]);
    expect(rig.lastLog.info.responseCode).toBe(expected.status);
    expect(rig.lastLog.info.responseCodeDetails).toBe(reply.details);
    expect(rig.stat(`downstream_rq_${String(expected.status)[0]}xx`)).toBe(1);
    if ('logged' in expected) expect(rig.lastLog.localReplyBody).toBe(expected.logged);
  });

  const JSON_ALL = {
    local_reply_config: {
      body_format: { text_format: '{%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %LOCAL_REPLY_BODY%}' },
    },
  };
  const silent = { upstream: { headers() {} } };
  const thrown = () => {
    throw new Error('bug');
  };

  /** Every reply there is goes through it. */
  test.each<[string, RigOptions, string, number, string]>([
    ['bytes that are no HTTP', {}, 'nonsense\r\n\r\n', 400, '{400 http1.codec_error Bad Request}'],
    ['no Host', {}, 'GET / HTTP/1.1\r\n\r\n', 400, '{400 missing_host_header }'],
    ['an upgrade', {}, get('connection: upgrade', 'upgrade: x'), 403, '{403 upgrade_failed }'],
    [
      'a stream that rests',
      { manager: { stream_idle_timeout: '1s' }, ...silent },
      get(),
      504,
      '{504 stream_idle_timeout stream timeout}',
    ],
    [
      'a head that takes too long',
      { manager: { request_headers_timeout: '1s' } },
      'GET / HTT',
      408,
      '{408 request_header_timeout request header timeout}',
    ],
    ['a filter', { filters: { f: thrown } }, get(), 500, '{500 filter_chain_error }'],
    [
      'a body too large for filters',
      {
        filters: { f: { onRequestBody: () => 'collect' } },
        context: { perConnectionBufferLimitBytes: 3 },
      },
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nabcd',
      413,
      '{413 request_payload_too_large Payload Too Large}',
    ],
  ])('a reply to %s', async (_, options, bytes, code, body) => {
    const { manager, context, ...rest } = options;
    const rig = new ManagerRig({
      ...rest,
      manager: { ...manager, ...JSON_ALL },
      context: { ...context, formatters },
    });
    await rig.send(bytes);
    await rig.advance(1000);
    expect([rig.response.status, rig.response.body.toString()]).toEqual([code, body]);
  });

  test('a response of the upstream does not', async () => {
    const rig = await ask({ manager: JSON_ALL, context: { formatters } });
    expect(rig.response.body.toString()).toBe('ok');
  });

  test('what fails in a format is answered with 500, once', async () => {
    const broken = { ...formatters, fromConfig: () => ({ format: thrown }) };
    const rig = await ask({
      manager: JSON_ALL,
      context: { formatters: broken },
      upstream: { headers: (stream) => stream.reply(DOWN) },
    });
    expect(rig.response.status).toBe(500);
    expect(rig.logged).toEqual(['500 filter_chain_error -']);
    expect(rig.context.loggers.lines.join()).toContain('local reply failed');
  });

  test.each<[string, object, string]>([
    ['no filter', { mappers: [{ status_code: 404 }] }, 'mappers[0].filter'],
    ['a status out of range', { mappers: [{ filter: ANY, status_code: 600 }] }, 'mappers[0].status_code'],
    [
      'a body that cannot be read',
      { mappers: [{ filter: ANY, body: { filename: '/none' } }] },
      'mappers[0].body.filename',
    ],
    [
      'a filter that is none',
      { mappers: [{ filter: { response_flag_filter: { flags: ['XX'] } } }] },
      'mappers[0].filter.response_flag_filter.flags[0]',
    ],
    [
      'a protected header',
      { mappers: [{ filter: ANY, headers_to_add: [header(':status', '1')] }] },
      'mappers[0].headers_to_add[0].header.key',
    ],
    ['an unknown operator', { body_format: { text_format: '%NOPE%' } }, 'body_format.text_format'],
    [
      'an unknown operator of a mapper',
      { mappers: [{ filter: ANY, body_format_override: { json_format: { a: '%NOPE%' } } }] },
      'mappers[0].body_format_override.json_format.a',
    ],
    [
      'a type that would break its line',
      { body_format: { text_format: 'x', content_type: 'a\nb' } },
      'body_format.content_type',
    ],
  ])('refuses %s', (_, config, path) => {
    const make = () =>
      new ManagerRig({ manager: { local_reply_config: config as JsonObject }, context: { formatters } });
    expect(make).toThrow(
      expect.objectContaining<Partial<ConfigError>>({
        problems: [expect.objectContaining({ path: `local_reply_config.${path}` })],
      }),
    );
  });
});

function get(...lines: readonly string[]): string {
  return `${['GET / HTTP/1.1', 'host: a', ...lines].join('\r\n')}\r\n\r\n`;
}
