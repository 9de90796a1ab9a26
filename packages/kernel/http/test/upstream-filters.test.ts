import {
  defineHttpFilter,
  ExtensionRegistry,
  type Host,
  type HttpFilter,
  type HttpPool,
  type HttpPoolCallbacks,
  type HttpStream,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  StreamInfo,
  Trailers,
  type UpstreamConnectionInfo,
} from '@dragoman/core';
import { type HttpFilter as HttpFilterConfig, ListValueSchema, StructSchema } from '@dragoman/api';
import { connectionInfo, requestHeaders, responseHeaders, testContext } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { compileUpstreamFilters, upstreamCodec } from '../src/index.ts';

/** One try: what reaches the codec and the router, as lines. */
class Scene implements RequestEncoder, ResponseDecoder, HttpPoolCallbacks {
  readonly codec: string[] = [];
  readonly router: string[] = [];
  readonly responseHeadBytes = 7;
  readonly info = new StreamInfo(connectionInfo(), 0, 0);
  encoder!: RequestEncoder;
  decoder!: ResponseDecoder;
  takes = true;

  constructor(create: (stream: HttpStream) => HttpFilter, bufferLimit = 1024) {
    const filter = defineHttpFilter({
      name: 'test.filter',
      config: StructSchema,
      upstream: true,
      create: () => create,
    });
    const plain = defineHttpFilter({ name: 'test.plain', config: ListValueSchema, create: () => create });
    this.context = testContext({ extensions: new ExtensionRegistry([filter, plain, upstreamCodec]) });
    const filters = compileUpstreamFilters(
      [named('test.filter'), named(upstreamCodec.name)],
      this.context,
      'http_filters',
    );
    const pool: HttpPool = {
      newStream: (decoder, callbacks) => {
        this.decoder = decoder;
        callbacks.onPoolReady(this, {} as Host, {} as UpstreamConnectionInfo);
        return undefined;
      },
    };
    filters.through(pool, { info: this.info, route: undefined, bufferLimit }).newStream(this.side, this);
  }

  readonly context: ReturnType<typeof testContext>;

  onPoolReady(encoder: RequestEncoder): void {
    this.encoder = encoder;
  }
  onPoolFailure(): void {}

  /** The router. */
  readonly side: ResponseDecoder = {
    onInformational: (headers) => this.router.push(`interim ${headers.status}`),
    onHeaders: (headers, end) =>
      this.router.push(`headers ${headers.status} ${headers.get('x-seen') ?? '-'} ${end}`),
    onBody: (chunk, end) => {
      this.router.push(`body ${chunk} ${end}`);
      return this.takes;
    },
    onTrailers: (trailers) => this.router.push(`trailers ${trailers.get('x-t') ?? '-'}`),
    onReset: (reason, details) => this.router.push(`reset ${reason} ${details}`),
    onWritable: () => this.router.push('writable'),
  };

  // The codec.
  headers(headers: RequestHeaders, end: boolean): void {
    this.codec.push(`headers ${headers.get('x-added') ?? '-'} ${end}`);
  }
  body(chunk: Buffer, end: boolean): boolean {
    this.codec.push(`body ${chunk} ${end}`);
    return this.takes;
  }
  trailers(trailers: Trailers): void {
    this.codec.push(`trailers ${trailers.get('x-t') ?? '-'}`);
  }
  reset(reason: string): void {
    this.codec.push(`reset ${reason}`);
  }
  pauseBody(): void {
    this.codec.push('pause');
  }
  resumeBody(): void {
    this.codec.push('resume');
  }
  onInformational(): void {}
  onHeaders(): void {}
  onBody(): boolean {
    return true;
  }
  onTrailers(): void {}
  onReset(): void {}
  onWritable(): void {}
}

const named = (name: string) =>
  ({
    name,
    configType: { case: undefined },
    disabled: false,
    isOptional: false,
  }) as unknown as HttpFilterConfig;
const trailersWith = (value: string) => {
  const trailers = new Trailers();
  trailers.append('x-t', value);
  return trailers;
};

describe('a try goes through its filters', () => {
  test('both ways, and they hear of the end once', () => {
    const events: string[] = [];
    const scene = new Scene((stream) => ({
      onRequestHeaders: (headers) => headers.set('x-added', 'yes'),
      onRequestBody: (chunk) => Buffer.from(chunk.toString().toUpperCase()),
      onResponseHeaders: (headers) => headers.set('x-seen', stream.requestHeaders.path),
      onResponseBody: (chunk) => Buffer.from(`<${chunk}>`),
      onComplete: () => events.push('complete'),
    }));
    scene.encoder.headers(requestHeaders({ ':path': '/p' }), false);
    scene.encoder.body(Buffer.from('abc'), false, false);
    scene.encoder.trailers(trailersWith('1'));
    expect(scene.codec).toEqual(['headers yes false', 'body ABC false', 'trailers 1']);
    scene.decoder.onInformational(responseHeaders({ ':status': '103' }));
    scene.decoder.onHeaders(responseHeaders(), false);
    scene.decoder.onBody(Buffer.from('x'), false, false);
    expect(events).toEqual([]);
    scene.decoder.onTrailers(trailersWith('2'));
    expect(scene.router).toEqual(['interim 103', 'headers 200 /p false', 'body <x> false', 'trailers 2']);
    expect([events, scene.encoder.responseHeadBytes]).toEqual([['complete'], 7]);
    scene.decoder.onReset('remote-reset', 'late');
    expect(scene.router.length).toBe(4);
  });

  test('added trailers, and a body for a message that had none', () => {
    const scene = new Scene((stream) => ({
      onRequestHeaders: (_headers, end) => {
        if (end) stream.addRequestBody(Buffer.from('made'));
      },
      onResponseBody: (_chunk, end) => {
        if (end) stream.addResponseTrailers().set('x-t', 'added');
      },
    }));
    scene.encoder.headers(requestHeaders(), true);
    expect(scene.codec).toEqual(['headers - false', 'body made true']);
    scene.decoder.onHeaders(responseHeaders(), false);
    scene.decoder.onBody(Buffer.from('b'), true, false);
    expect(scene.router).toEqual(['headers 200 - false', 'body b false', 'trailers added']);
  });

  test('one that pauses is waited for', async () => {
    let go: () => void = () => {};
    const scene = new Scene(() => ({
      onRequestHeaders: () =>
        new Promise<void>((resolve) => {
          go = resolve;
        }),
    }));
    scene.encoder.headers(requestHeaders(), false);
    scene.encoder.body(Buffer.from('held'), true, false);
    expect(scene.codec).toEqual([]);
    go();
    await Promise.resolve();
    expect(scene.codec).toEqual(['headers - false', 'body held true']);
  });

  test('a reply is the response of the try, and gives up the codec', () => {
    const scene = new Scene((stream) => ({
      onRequestHeaders: () => {
        stream.reply({ status: 418, body: 'no', details: 'teapot' });
        return 'pause';
      },
    }));
    scene.encoder.headers(requestHeaders(), true);
    expect(scene.codec).toEqual(['reset local-reset']);
    expect(scene.router).toEqual(['headers 418 - false', 'body no true']);
    expect(scene.info.responseCodeDetails).toBe('teapot');
  });

  test('a reply after the response has begun resets the try', () => {
    const scene = new Scene((stream) => ({
      onResponseBody: () => {
        stream.reply({ status: 500, details: 'too_late' });
        return 'pause';
      },
    }));
    scene.encoder.headers(requestHeaders(), true);
    scene.decoder.onHeaders(responseHeaders(), false);
    scene.decoder.onBody(Buffer.from('b'), true, false);
    expect(scene.router).toEqual(['headers 200 - false', 'reset local-reset too_late']);
  });

  test('a bug is a 500 of its try', () => {
    const scene = new Scene(() => ({
      onRequestHeaders: () => {
        throw new Error('bug');
      },
    }));
    scene.encoder.headers(requestHeaders(), true);
    expect(scene.router[0]).toMatch(/^headers 500/);
    expect(
      scene.context.loggers.lines.some((line) => line.includes('upstream filter test.filter failed')),
    ).toBe(true);
  });

  test('more than may be held is a 413, or a 500', () => {
    const collect = () =>
      new Scene(() => ({ onRequestBody: () => 'collect', onResponseBody: () => 'collect' }), 4);
    const request = collect();
    request.encoder.headers(requestHeaders(), false);
    request.encoder.body(Buffer.alloc(5), false, false);
    expect(request.router[0]).toMatch(/^headers 413/);
    const response = collect();
    response.encoder.headers(requestHeaders(), true);
    response.decoder.onHeaders(responseHeaders(), false);
    response.decoder.onBody(Buffer.alloc(5), false, false);
    expect(response.router[1]).toMatch(/^reset local-reset/);
  });

  test('back-pressure both ways', () => {
    const scene = new Scene(() => ({}));
    scene.encoder.headers(requestHeaders(), false);
    scene.takes = false;
    expect(scene.encoder.body(Buffer.from('a'), false, true)).toBe(false);
    scene.decoder.onWritable();
    expect(scene.router).toEqual(['writable']);
    scene.decoder.onHeaders(responseHeaders(), false);
    expect(scene.decoder.onBody(Buffer.from('b'), false, true)).toBe(false);
    scene.encoder.resumeBody();
    expect(scene.codec.at(-1)).toBe('resume');
  });

  test('a try that is given up is over for its filters', () => {
    const events: string[] = [];
    const scene = new Scene(() => ({ onComplete: () => events.push('complete') }));
    scene.encoder.headers(requestHeaders(), false);
    scene.encoder.reset('local-reset');
    scene.decoder.onHeaders(new ResponseHeaders(), true);
    expect([events, scene.codec.at(-1), scene.router]).toEqual([['complete'], 'reset local-reset', []]);
  });
});

describe('config', () => {
  const { context } = new Scene(() => ({}));
  const compile = (...names: string[]) => compileUpstreamFilters(names.map(named), context, 'http_filters');

  test.each([
    [['test.plain', upstreamCodec.name], 'http_filters[0]: test.plain cannot run on the upstream side'],
    [
      ['test.filter'],
      'http_filters[0]: the last filter must be a terminal one, usually envoy.filters.http.upstream_codec',
    ],
    [[], 'http_filters: there is no filter'],
  ])('%s is refused', (names, text) => {
    expect(() => compile(...names)).toThrow(text);
  });

  test('the codec alone changes nothing', () => {
    const pool: HttpPool = { newStream: () => undefined };
    const scene = { info: new StreamInfo(connectionInfo(), 0, 0), route: undefined, bufferLimit: 1 };
    expect(compile(upstreamCodec.name).through(pool, scene)).toBe(pool);
  });
});
