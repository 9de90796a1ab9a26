import { HttpRequestHeaderMatchInputSchema } from '@dragoman/api';
import { ConfigError, defineMatchInput, type TlsInfo } from '@dragoman/core';
import type { JsonObject } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ManagerRig } from './manager-rig.ts';

const NAME = 'x-forwarded-client-cert';
const API =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const headerInput = defineMatchInput({
  name: 'envoy.matching.inputs.request_headers',
  config: HttpRequestHeaderMatchInputSchema,
  createHttp: ({ headerName }) => ({
    kind: 'text',
    get: ({ requestHeaders }) => requestHeaders?.getJoined(headerName),
  }),
});

const TLS: TlsInfo = {
  version: 'TLSv1.3',
  cipher: 'x',
  localUriSans: ['spiffe://ours'],
  peerFingerprint256: 'abc',
  peerUriSans: ['spiffe://client'],
  peerSubject: 'CN=client',
};

function rigWith(manager: JsonObject, tls: TlsInfo | undefined = TLS): ManagerRig {
  return new ManagerRig({ manager, extensions: [headerInput], connection: { info: { tls } } });
}

async function seen(
  manager: JsonObject,
  lines: readonly string[] = [],
  tls?: TlsInfo,
): Promise<readonly string[]> {
  const rig = rigWith(manager, tls);
  await rig.request('GET / HTTP/1.1', ...lines);
  return rig.requests[0]?.getAll(NAME) ?? ['no request'];
}

const set = (details: JsonObject, forward = 'SANITIZE_SET'): JsonObject => ({
  forward_client_cert_details: forward,
  set_current_client_cert_details: details,
});

describe('forward_client_cert_details and set_current_client_cert_details', () => {
  it.each<[JsonObject, string[]]>([
    [{}, []],
    [{ forward_client_cert_details: 'SANITIZE' }, []],
    [{ forward_client_cert_details: 'FORWARD_ONLY' }, ['Hash=1']],
    [{ forward_client_cert_details: 'APPEND_FORWARD' }, ['Hash=1,By=spiffe://ours;Hash=abc']],
    [{ forward_client_cert_details: 'SANITIZE_SET' }, ['By=spiffe://ours;Hash=abc']],
    [{ forward_client_cert_details: 'ALWAYS_FORWARD_ONLY' }, ['Hash=1']],
    [set({ subject: true }), ['By=spiffe://ours;Hash=abc;Subject="CN=client"']],
    [set({ subject: false, uri: true }), ['By=spiffe://ours;Hash=abc;URI=spiffe://client']],
    [set({ issuer: true, dns: true, cert: true, chain: true }), ['By=spiffe://ours;Hash=abc;Issuer=""']],
    [
      set({ uri: true, format: 'TEXT' }, 'APPEND_FORWARD'),
      ['Hash=1,By=spiffe://ours;Hash=abc;URI=spiffe://client'],
    ],
  ])('%j', async (manager, expected) => {
    expect(await seen(manager, [`${NAME}: Hash=1`])).toEqual(expected);
  });

  it('at the edge, nobody gets a header of their own making in', async () => {
    for (const use_remote_address of [true, false])
      for (const forward_client_cert_details of [
        'SANITIZE',
        'FORWARD_ONLY',
        'APPEND_FORWARD',
        'SANITIZE_SET',
      ]) {
        const manager = { use_remote_address, forward_client_cert_details };
        for (const name of [
          NAME,
          'X-Forwarded-Client-Cert',
          'x_forwarded_client_cert',
          'x-forwarded_client-cert',
        ]) {
          const rig = new ManagerRig({ manager });
          await rig.request(
            'GET / HTTP/1.1',
            `${name}: Hash=forged;URI=spiffe://admin`,
            `${name}: Hash=again`,
          );
          expect(rig.requests[0]?.names.filter((one) => /client.cert/.test(one))).toEqual([]);
        }
      }
    // Nor takes one of ours away by naming it in `connection`: such a request is refused.
    const rig = rigWith(set({ uri: true }));
    await rig.request('GET / HTTP/1.1', `connection: ${NAME}`);
    expect([rig.response.status, rig.requests]).toEqual([400, []]);
  });

  it.each(['SANITIZE', 'FORWARD_ONLY', 'ALWAYS_FORWARD_ONLY'])(
    'says that details have no effect with %s',
    (forward) => {
      expect(rigWith(set({ uri: true }, forward)).context.warnings).toEqual([
        'http_connection_manager.set_current_client_cert_details: has no effect: only with APPEND_FORWARD and SANITIZE_SET is something said of the client certificate',
      ]);
      expect(rigWith(set({ uri: true })).context.warnings).toEqual([]);
    },
  );

  it('refuses JSON by name', () => {
    expect(problemsOf(set({ format: 'JSON' }))).toEqual([
      'set_current_client_cert_details.format: JSON is not built: elements are written as text; remove format',
    ]);
  });
});

describe('forward_client_cert_matcher', () => {
  const action = (forward: string, details: JsonObject = {}): JsonObject => ({
    action: {
      name: 'forward_client_cert',
      typed_config: {
        '@type': `${API}.ForwardClientCertConfig`,
        forward_client_cert_details: forward,
        set_current_client_cert_details: details,
      },
    },
  });
  const matcher = (contains: string, onMatch: JsonObject, onNoMatch?: JsonObject): JsonObject => ({
    forward_client_cert_matcher: {
      matcher_list: {
        matchers: [
          {
            predicate: {
              single_predicate: {
                input: {
                  name: 'envoy.matching.inputs.request_headers',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput',
                    header_name: NAME,
                  },
                },
                value_match: { contains },
              },
            },
            on_match: onMatch,
          },
        ],
      },
      ...(onNoMatch === undefined ? {} : { on_no_match: onNoMatch }),
    },
  });
  const trusting = matcher(
    'trusted-client',
    action('APPEND_FORWARD', { uri: true }),
    action('SANITIZE_SET', { subject: true }),
  );

  it.each<[string, JsonObject, string[], string[]]>([
    [
      'takes the action of what matches',
      trusting,
      [`${NAME}: URI=trusted-client`],
      ['URI=trusted-client,By=spiffe://ours;Hash=abc;URI=spiffe://client'],
    ],
    [
      'takes the action for no match',
      trusting,
      [`${NAME}: URI=other`],
      ['By=spiffe://ours;Hash=abc;Subject="CN=client"'],
    ],
    [
      'falls back on what holds for all',
      { ...set({ uri: true }), ...matcher('trusted-client', action('FORWARD_ONLY')) },
      [`${NAME}: URI=other`],
      ['By=spiffe://ours;Hash=abc;URI=spiffe://client'],
    ],
    [
      'comes before what holds for all',
      { ...set({ uri: true }), ...matcher('trusted-client', action('FORWARD_ONLY')) },
      [`${NAME}: URI=trusted-client`],
      ['URI=trusted-client'],
    ],
    [
      'falls back on SANITIZE where nothing holds for all',
      matcher('trusted-client', action('ALWAYS_FORWARD_ONLY')),
      [`${NAME}: URI=other`],
      [],
    ],
  ])('%s', async (_, manager, lines, expected) => {
    expect(await seen(manager, lines)).toEqual(expected);
  });

  it('lets other spellings through only where nothing can object', async () => {
    const lines = ['x_forwarded_client_cert: URI=trusted-client', `${NAME}: URI=trusted-client`];
    const always = { forward_client_cert_details: 'ALWAYS_FORWARD_ONLY' };
    const names = async (manager: JsonObject) => {
      const rig = rigWith(manager);
      await rig.request('GET / HTTP/1.1', ...lines);
      return rig.requests[0]?.names.filter((name) => /client.cert/.test(name));
    };
    expect(await names(always)).toEqual(['x_forwarded_client_cert', NAME]);
    expect(await names({ ...always, ...matcher('none', action('SANITIZE')) })).toEqual([NAME]);
  });

  it('has no effect without a client certificate, but for ALWAYS_FORWARD_ONLY', async () => {
    const rig = new ManagerRig({ manager: trusting, extensions: [headerInput] });
    await rig.request('GET / HTTP/1.1', `${NAME}: URI=trusted-client`);
    expect(rig.requests[0]?.has(NAME)).toBe(false);
  });

  it.each<[JsonObject, RegExp]>([
    [
      matcher('a', { action: { name: 'forward_client_cert' } }),
      /^forward_client_cert_matcher\.matcher_list\.matchers\[0\]\.on_match\.action\.typed_config: expected .*ForwardClientCertConfig, found "forward_client_cert" without a config$/,
    ],
    [
      matcher('a', {
        action: {
          name: 'x',
          typed_config: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'x' },
        },
      }),
      /on_match\.action\.typed_config: expected .*ForwardClientCertConfig, found google\.protobuf\.StringValue$/,
    ],
    [
      matcher('a', action('SANITIZE_SET', { format: 'JSON' })),
      /on_match\.action\.typed_config\.set_current_client_cert_details\.format: JSON is not built/,
    ],
  ])('%# is refused', (manager, expected) => {
    expect(problemsOf(manager)).toEqual([expect.stringMatching(expected)]);
  });
});

function problemsOf(manager: JsonObject): string[] {
  try {
    rigWith(manager);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}
