import { Authorization, CheckRequestSchema, type CheckResponseSchema, create } from '@dragoman/api';
import type { GrpcCallOptions, RequestHeaders, Span } from '@dragoman/core';
import { logContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { Rig, UnaryRecorder } from './support/rig.ts';

const { check } = Authorization.method;
const request = create(CheckRequestSchema);

function sent(config: object, options?: GrpcCallOptions, prepare?: (rig: Rig) => void) {
  const rig = new Rig(config);
  prepare?.(rig);
  rig.client.unary(check, request, options, new UnaryRecorder<typeof CheckResponseSchema>());
  const { requestHeaders } = rig.upstream;
  if (requestHeaders === undefined) throw new Error('nothing was sent');
  return requestHeaders;
}

describe('the authority', () => {
  it('is the cluster’s name, or what the config says', () => {
    expect(sent({}).authority).toBe('authz');
    expect(sent({ envoy_grpc: { cluster_name: 'authz', authority: 'auth.test' } }).authority).toBe(
      'auth.test',
    );
  });
});

describe('skip_envoy_headers', () => {
  const skip = { envoy_grpc: { cluster_name: 'authz', skip_envoy_headers: true } };
  it.each([
    [{}, undefined, true],
    [skip, undefined, false],
    [{}, false, false],
  ])('%j with %s of the call', (config, envoyHeaders, there) => {
    const headers = sent(config, { envoyHeaders });
    expect(headers.has('x-envoy-internal')).toBe(there);
    expect(headers.has('x-forwarded-for')).toBe(there);
  });

  it('makes it an external request in the stats', () => {
    const rig = new Rig(skip);
    rig.client.unary(check, request, undefined, new UnaryRecorder<typeof CheckResponseSchema>());
    rig.upstream.respond({ 'grpc-status': '0' }, 200, true);
    expect(rig.counted).toMatchObject({ 'external.upstream_rq_200': 1 });
  });
});

describe('initial_metadata', () => {
  it('is sent, in lower case, the last line of a name alone', () => {
    const headers = sent({
      initial_metadata: [
        { key: 'X-Key', value: 'a' },
        { key: 'x-key', value: 'é' },
        { key: 'x-empty', value: '' },
        { key: 'te', value: 'other' },
      ],
    });
    expect(headers.getAll('x-key')).toEqual([Buffer.from('é').toString('latin1')]);
    expect(headers.has('x-empty')).toBe(false);
    expect(headers.getAll('te')).toEqual(['other']);
  });

  it('is base64 under -bin keys', () => {
    const headers = sent({
      initial_metadata: [
        { key: 'a-bin', value: 'é\n' },
        { key: 'b-bin', raw_value: Buffer.from([0, 255, 10]).toString('base64') },
      ],
    });
    expect(headers.get('a-bin')).toBe(Buffer.from('é\n').toString('base64'));
    expect(headers.get('b-bin')).toBe('AP8K');
  });

  it('is filled in from the request on whose behalf the call is', () => {
    const config = { initial_metadata: [{ key: 'x-m', value: '%REQ(:method)%' }] };
    // The formatters of the tests print the type, the method and the status.
    expect(
      sent({ initial_metadata: [{ key: 'x-bin', value: '%A%' }] }, { parent: logContext() }).get('x-bin'),
    ).toBe(Buffer.from('DownstreamEnd GET 200\n').toString('base64'));
    // A line break is unfit for a header.
    expect(sent(config, { parent: logContext() }).has('x-m')).toBe(false);
    // Nobody’s behalf: as it is written, as in Envoy.
    expect(sent(config).get('x-m')).toBe('%REQ(:method)%');
  });
});

describe('metadata of a call', () => {
  it('comes besides', () => {
    const headers = sent(
      { initial_metadata: [{ key: 'x-a', value: '1' }] },
      {
        metadata: [
          ['x-a', '2'],
          ['x-b', Buffer.from('é')],
          ['x-c', 'no\r\nx-d: 1'],
          ['e-bin', Buffer.from([1, 2])],
          ['f-bin', 'ÿ'],
        ],
      },
    );
    expect(headers.getAll('x-a')).toEqual(['1', '2']);
    expect(headers.get('x-b')).toBe(Buffer.from('é').toString('latin1'));
    expect(headers.has('x-c')).toBe(false);
    expect(headers.get('e-bin')).toBe('AQI=');
    expect(headers.get('f-bin')).toBe('/w==');
  });

  it('is for the caller to change last', () => {
    const headers = sent(
      {},
      {
        metadata: [['x-a', '1']],
        prepareHeaders(before) {
          before.set('x-a', `${before.get('x-a')}2`);
          before.authority = 'other';
        },
      },
    );
    expect([headers.get('x-a'), headers.authority]).toEqual(['12', 'other']);
  });
});

describe('load balancing', () => {
  it('sees the hash, the metadata and the headers of the call', () => {
    const rig = new Rig();
    const options = { hash: { high: 1, low: 2 }, metadataMatch: { a: 'b' }, parent: logContext() };
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    let seen: unknown;
    const { chooseHost } = rig.cluster;
    rig.cluster.chooseHost = (context) => {
      seen = [context?.hash, context?.metadataMatch, context?.info, context?.requestHeaders?.path];
      return chooseHost.call(rig.cluster, context);
    };
    rig.client.unary(check, request, options, recorder);
    expect(seen).toEqual([
      options.hash,
      options.metadataMatch,
      options.parent.info,
      '/envoy.service.auth.v3.Authorization/Check',
    ]);
  });
});

describe('the transport', () => {
  const send = (rig: Rig) =>
    rig.client.unary(check, request, undefined, new UnaryRecorder<typeof CheckResponseSchema>());

  it('may be chosen by the authority, for a client that is this proxy', () => {
    const rig = new Rig();
    rig.cluster.info.transportOptions = (headers, { connection }) => ({
      key: 'a',
      serverName: `${headers?.authority} for ${connection.remoteAddress.ip}`,
    });
    send(rig);
    expect(rig.cluster.wishes).toEqual([{ transport: { key: 'a', serverName: 'authz for 192.0.2.2' } }]);
  });

  it('has no wishes where the cluster asks for none', () => {
    const rig = new Rig();
    send(rig);
    expect(rig.cluster.wishes).toEqual([undefined]);
  });
});

describe('the span of a call', () => {
  class TestSpan implements Span {
    readonly events: string[] = [];
    readonly children: TestSpan[] = [];

    setTag(name: string, value: string): void {
      this.events.push(`${name}=${value}`);
    }

    log(): void {}

    inject(headers: RequestHeaders): void {
      headers.set('x-trace', 'yes');
    }

    spawnChild(operation: string, startTimeMs: number): Span {
      const child = new TestSpan();
      child.events.push(`${operation} at ${startTimeMs}`);
      this.children.push(child);
      return child;
    }

    finish(endTimeMs: number): void {
      this.events.push(`finish at ${endTimeMs}`);
    }
  }
  const start = Date.UTC(2026, 0, 1);

  function traced(end: (rig: Rig, cancel: () => void) => void) {
    const rig = new Rig({ envoy_grpc: { cluster_name: 'authz', authority: 'auth.test' } });
    const parentSpan = new TestSpan();
    const recorder = new UnaryRecorder<typeof CheckResponseSchema>();
    const call = rig.client.unary(check, request, { parentSpan }, recorder);
    expect(rig.upstream.requestHeaders?.get('x-trace')).toBe('yes');
    rig.context.clock.advance(5);
    end(rig, () => call.cancel());
    const [child] = parentSpan.children;
    expect(child.events.slice(0, 4)).toEqual([
      `async envoy.service.auth.v3.Authorization.Check egress at ${start}`,
      'upstream_cluster=authz',
      'upstream_address=auth.test',
      'component=proxy',
    ]);
    return child.events.slice(4);
  }

  it('has the status', () => {
    expect(traced((rig) => rig.upstream.answer(Buffer.alloc(0)))).toEqual([
      'grpc.status_code=0',
      `finish at ${start + 5}`,
    ]);
    expect(traced((rig) => rig.upstream.respond({ 'grpc-status': '7' }, 200, true))).toEqual([
      'grpc.status_code=7',
      'error=true',
      `finish at ${start + 5}`,
    ]);
  });

  it('is cancelled with the call', () => {
    expect(traced((_, cancel) => cancel())).toEqual(['status=canceled', `finish at ${start + 5}`]);
  });
});
