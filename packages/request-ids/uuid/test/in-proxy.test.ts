import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { HttpUpstream, httpBootstrap, startProxy, text } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { uuidRequestId } from '../src/index.ts';

const SAMPLED = '0123abcd-0000-9000-8000-000000000000';
const UNTRACED = '0123abcd-0000-4000-8000-000000000000';
const MADE = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const EDGE = { use_remote_address: true, internal_address_config: {} };
const PRESERVED = { ...EDGE, preserve_external_request_id: true };

/** The connection manager, the extension, the id that came, and what goes upstream. */
it.each<[string, object, object, string | undefined, string | RegExp | undefined]>([
  ['past the edge, none', {}, {}, undefined, MADE],
  ['past the edge, an empty one', {}, {}, '', MADE],
  ['past the edge, one', {}, {}, SAMPLED, SAMPLED],
  ['past the edge, one that is no UUID', {}, {}, 'theirs', 'theirs'],
  ['at the edge, one', EDGE, {}, SAMPLED, MADE],
  ['at the edge, preserved', PRESERVED, {}, SAMPLED, UNTRACED],
  ['at the edge, preserved, no reason packed', PRESERVED, { pack_trace_reason: false }, SAMPLED, SAMPLED],
  ['at the edge, preserved, no UUID', PRESERVED, {}, 'theirs', 'theirs'],
  ['at the edge, preserved, none', PRESERVED, {}, undefined, MADE],
  ['not generated, none', { generate_request_id: false }, {}, undefined, undefined],
  ['not generated, at the edge', { ...EDGE, generate_request_id: false }, {}, SAMPLED, SAMPLED],
])('%s', async (_what, manager, config, sent, expected) => {
  await using upstream = await HttpUpstream.start(text('ok'));
  await using proxy = await startProxy(
    httpBootstrap({
      clusters: { web: upstream.port },
      manager: {
        request_id_extension: {
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig',
            ...config,
          },
        },
        always_set_request_id_in_response: true,
        ...manager,
      } as never,
    }),
    { extensions: [httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId] },
  );
  const response = await proxy.get('/', ...(sent === undefined ? [] : [`x-request-id: ${sent}`]));
  const got = (await upstream.request()).header('x-request-id');
  if (expected instanceof RegExp) expect(got).toMatch(expected);
  else expect(got).toBe(expected);
  expect(response.header('x-request-id')).toBe(got);
});
