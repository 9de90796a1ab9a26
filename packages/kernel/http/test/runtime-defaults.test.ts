import type { JsonObject } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { FakeRuntime } from './fake-runtime.ts';
import { ManagerRig, type RigOptions } from './manager-rig.ts';

const SLASHES = 'http_connection_manager.path_with_escaped_slashes_action';
const NORMALIZE = 'http_connection_manager.normalize_path';
const HEADERS_KB = 'envoy.reloadable_features.max_request_headers_size_kb';
const HEADERS = 'envoy.reloadable_features.max_request_headers_count';
const FRAGMENT = 'envoy.reloadable_features.http_reject_path_with_fragment';

type Values = Readonly<Record<string, number | boolean>>;

function rigWith(values: Values, options: Omit<RigOptions, 'context'> = {}, node = 'n'): ManagerRig {
  const localInfo = { cluster: 'c', node, zone: 'z', address: '192.0.2.2' };
  return new ManagerRig({ ...options, context: { runtime: new FakeRuntime(values), localInfo } });
}

/** The path that a request for `target` comes to, or the status of its refusal. */
async function became(rig: ManagerRig, target: string): Promise<string> {
  await rig.request(`GET ${target} HTTP/1.1`);
  const { status } = rig.response;
  return status === 200 ? (rig.requests[0]?.path ?? '') : String(status);
}

describe('normalize_path at run time', () => {
  it.each<[string, Values, JsonObject, string]>([
    ['off', {}, {}, '/a/../b'],
    ['on', { [NORMALIZE]: 100 }, {}, '/b'],
    ['the config has the last word', { [NORMALIZE]: 100 }, { normalize_path: false }, '/a/../b'],
  ])('%s', async (_what, values, manager, expected) => {
    expect(await became(rigWith(values, { manager }), '/a/../b')).toBe(expected);
  });

  it('a share is one of proxies: the same one does the same each time', async () => {
    const normalizes = async (node: string) =>
      (await became(rigWith({ [NORMALIZE]: 50 }, {}, node), '/a/../b')) === '/b';
    const nodes = Array.from({ length: 60 }, (_, i) => `node-${i}`);
    const once = await Promise.all(nodes.map(normalizes));
    expect(await Promise.all(nodes.map(normalizes))).toEqual(once);
    const share = once.filter((on) => on).length;
    expect(share).toBeGreaterThan(15);
    expect(share).toBeLessThan(45);
  });
});

describe('escaped slashes at run time', () => {
  it.each<[string, Values, string]>([
    ['an action', { [SLASHES]: 2 }, '400'],
    ['an action that is not enabled', { [SLASHES]: 2, [`${SLASHES}_enabled`]: 0 }, '/a%2fb'],
    ['an action, enabled', { [SLASHES]: 4, [`${SLASHES}_enabled`]: 100 }, '/a/b'],
  ])('%s', async (_what, values, expected) => {
    expect(await became(rigWith(values), '/a%2fb')).toBe(expected);
  });

  it('not enabled, the action of the config does not hold either', async () => {
    const manager = { path_with_escaped_slashes_action: 'REJECT_REQUEST' };
    expect(await became(rigWith({}, { manager }), '/a%2fb')).toBe('400');
    expect(await became(rigWith({ [`${SLASHES}_enabled`]: 0 }, { manager }), '/a%2fb')).toBe('/a%2fb');
  });

  it('the name that only documents have is told of, and changes nothing', async () => {
    const rig = rigWith({ [SLASHES]: 2, [`${SLASHES}_sampling`]: 0 });
    expect(await became(rig, '/a%2fb')).toBe('400');
    expect(rig.context.warnings).toEqual([expect.stringContaining(`${SLASHES}_enabled`)]);
  });
});

describe('fragments', () => {
  it('are refused, or cut off, as runtime says now', async () => {
    const runtime = new FakeRuntime();
    const manager = { stream_error_on_invalid_http_message: true };
    const rig = new ManagerRig({ context: { runtime }, manager });
    await rig.request('GET /a?b#c HTTP/1.1');
    expect(rig.response.status).toBe(400);
    runtime.set(FRAGMENT, false);
    await rig.request('GET /a?b#c HTTP/1.1');
    expect(rig.requests.map(({ path }) => path)).toEqual(['/a?b']);
  });
});

describe('limits of heads at run time', () => {
  const big = `x-big: ${'v'.repeat(61 * 1024)}`;
  const many = Array.from({ length: 110 }, (_, i) => `x-${i}: v`);
  const status = async (rig: ManagerRig, ...lines: string[]): Promise<number> => {
    await rig.request('GET / HTTP/1.1', ...lines);
    return rig.response.status;
  };

  it('take the place of the defaults', async () => {
    expect(await status(rigWith({}), big)).toBe(431);
    expect(await status(rigWith({ [HEADERS_KB]: 64 }), big)).toBe(200);
    expect(await status(rigWith({}), ...many)).toBe(431);
    expect(await status(rigWith({ [HEADERS]: 200 }), ...many)).toBe(200);
    expect(await status(rigWith({ [HEADERS]: 5 }), ...many.slice(0, 5))).toBe(431);
  });

  it('but not of the fields', async () => {
    const manager = { max_request_headers_kb: 60, common_http_protocol_options: { max_headers_count: 100 } };
    const values = { [HEADERS_KB]: 64, [HEADERS]: 200 };
    expect(await status(rigWith(values, { manager }), big)).toBe(431);
    expect(await status(rigWith(values, { manager }), ...many)).toBe(431);
  });

  it.each([0, 8193])('%d KiB is no limit that the field could have: the default holds', async (kb) => {
    expect(await status(rigWith({ [HEADERS_KB]: kb }), big)).toBe(431);
    expect(await status(rigWith({ [HEADERS_KB]: kb }))).toBe(200);
  });
});
