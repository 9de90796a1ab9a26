import * as grpc from '@grpc/grpc-js';
import { Gate, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Client, nameOf, openClient, type Side } from './support/any-protocol.ts';
import { BOOKSTORE, Bookstore, BookstoreClient, DESCRIPTORS } from './support/bookstore.ts';
import { cluster, type Message, prefixRoute } from './support/config.ts';
import { grpcCluster, grpcRoute, jsonTranscoder } from './support/grpc-config.ts';
import { shareProxy } from './support/shared-proxy.ts';

const SIDES: readonly Side[] = [
  { http: 1, tls: false },
  { http: 2, tls: false },
];
const NO_PEMS = { ca: '', cert: '', key: '', name: 'any.test' };
const MOMO = {
  id: '1',
  title: 'Momo',
  authors: ['Ende'],
  binding: 'PAPERBACK',
  published: '1973-09-01T00:00:00Z',
  price: 8.5,
};
const ZAUBERBERG = {
  id: '2',
  title: 'Der Zauberberg',
  authors: ['Mann'],
  binding: 'HARDBACK',
  published: '1924-11-20T00:00:00Z',
  onLoan: true,
};

const config = (more: Message = {}): Message => ({
  proto_descriptor_bin: DESCRIPTORS.toString('base64'),
  services: [BOOKSTORE],
  convert_grpc_status: true,
  ...more,
});

/** A route of requests that say `x-style: <name>`, with a config of their own. */
const styledRoute = (name: string, more: Message): Message => ({
  match: { prefix: '/', headers: [{ name: 'x-style', string_match: { exact: name } }] },
  route: { cluster: 'upstream' },
  typed_per_filter_config: {
    'envoy.filters.http.grpc_json_transcoder': {
      ...(jsonTranscoder(config(more))['typed_config'] as Message),
    },
  },
});

const json = ({ body }: Answer): unknown => JSON.parse(body.toString());

describe.each(SIDES.map((side) => [nameOf(side), side] as const))(
  'grpc_json_transcoder over %s',
  (_, side) => {
    let store: Bookstore;
    let client: Client;
    const shared = shareProxy(async () => {
      store = await Bookstore.start();
      return {
        upstream: store,
        upstreamFields: grpcCluster(),
        clusters: [cluster('down', [])],
        filters: [jsonTranscoder(config())],
        manager: { http_protocol_options: { enable_trailers: true } },
        routes: [
          styledRoute('lines', { print_options: { stream_newline_delimited: true } }),
          styledRoute('all', {
            print_options: {
              always_print_primitive_fields: true,
              always_print_enums_as_ints: true,
              preserve_proto_field_names: true,
            },
          }),
          styledRoute('strict', {
            request_validation_options: {
              reject_unknown_method: true,
              reject_unknown_query_parameters: true,
            },
          }),
          styledRoute('small', { max_request_body_size: 100, max_response_body_size: 60 }),
          prefixRoute(`/${BOOKSTORE}/DeleteBook`, 'down'),
          grpcRoute(),
        ],
      };
    });
    beforeAll(() => {
      client = openClient(side, shared.proxy.port, NO_PEMS);
    });
    afterAll(() => client[Symbol.asyncDispose]());

    const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      client.send({
        method,
        path,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined
          ? {}
          : { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }),
      });

    test('GET', async () => {
      const answer = await send('GET', '/v1/shelves/1/books/1');
      expect([answer.status, json(answer)]).toEqual([200, MOMO]);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json',
        'content-length': String(answer.body.length),
        'grpc-status': '0',
      });
    });

    test('POST, with fields in the body and the line', async () => {
      const dry = { title: 'Dry', authors: [], binding: 1 };
      const first = await send('POST', '/v1/shelves/1/books?dry_run=true', dry);
      expect([first.status, json(first)]).toEqual([200, { id: '3', title: 'Dry', binding: 'HARDBACK' }]);
      expect(store.books.has(3)).toBe(false);
      const second = await send('POST', '/v1/shelves/1/books?dryRun=false', {
        title: 'Ümläute 😈',
        on_loan: true,
      });
      expect(json(second)).toEqual({ id: '3', title: 'Ümläute 😈', onLoan: true });
      expect(store.books.get(3)?.title).toBe('Ümläute 😈');
    });

    test('PATCH, with a mask', async () => {
      const answer = await send('PATCH', '/v1/shelves/1/books/3?update_mask=title,onLoan', {
        title: 'Umlaute',
        price: 99,
      });
      expect([answer.status, json(answer)]).toEqual([200, { id: '3', title: 'Umlaute' }]);
      const none = await send('PATCH', '/v1/shelves/1/books/77', {});
      expect([none.status, json(none)]).toEqual([404, { code: 5, message: 'no such book' }]);
    });

    test('a stream is an array, and query parameters are fields', async () => {
      const all = await send('GET', '/v1/shelves/1/books');
      expect([all.status, all.headers['content-type']]).toEqual([200, 'application/json']);
      expect(json(all)).toMatchObject([MOMO, ZAUBERBERG, { id: '3' }]);
      const query = async (text: string) => json(await send('GET', `/v1/shelves/1/books?${text}`));
      expect(await query('authors=Mann&authors=Kleist')).toEqual([ZAUBERBERG]);
      expect(await query('binding=PAPERBACK')).toEqual([MOMO]);
      expect(await query('published_after=1950-01-01T00%3A00%3A00Z')).toEqual([MOMO]);
      expect(await query('authors=Nobody')).toEqual([]);
    });

    test('a stream is lines', async () => {
      const answer = await send('GET', '/v1/shelves/1/books?binding=PAPERBACK', undefined, {
        'x-style': 'lines',
      });
      expect(answer.body.toString()).toBe(`${JSON.stringify(MOMO)}\n`);
      const all = await send('GET', '/v1/shelves/1/books', undefined, { 'x-style': 'lines' });
      expect(
        all.body
          .toString()
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line).id),
      ).toEqual(['1', '2', '3']);
    });

    test('a stream that fails keeps what was sent; the status is in the trailers', async () => {
      const answer = await send('GET', '/v1/shelves/1/books?fail_with=8&binding=PAPERBACK');
      expect([answer.status, answer.body.toString()]).toEqual([200, `[${JSON.stringify(MOMO)}]`]);
      expect(answer.trailers).toMatchObject({ 'grpc-status': '8' });
      const nothing = await send('GET', '/v1/shelves/1/books?fail_with=7&authors=Nobody');
      expect([nothing.status, json(nothing)]).toEqual([403, { code: 7, message: 'the list ends here' }]);
    });

    test('an array is a stream of requests', async () => {
      const add = (title: string) => ({ shelf: 1, book: { title } });
      const answer = await send('POST', '/v1/books:add', [add('a'), add('b'), add('c')]);
      expect([answer.status, json(answer)]).toEqual([200, { added: 3, ids: ['4', '5', '6'] }]);
      const none = await send('POST', '/v1/books:add', []);
      expect([none.status, json(none)]).toEqual([200, {}]);
    });

    test('arrays both ways', async () => {
      const answer = await send('POST', '/v1/books:price', [{ title: 'one' }, { title: 'three' }]);
      expect(json(answer)).toEqual([
        { title: 'one', price: 3 },
        { title: 'three', price: 5 },
      ]);
    });

    test('HttpBody is a body as it is', async () => {
      const cover = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255, 254]);
      const put = await client.send({
        method: 'PUT',
        path: '/v1/shelves/1/books/1/cover',
        headers: { 'content-type': 'image/png' },
        body: cover,
      });
      expect([put.status, json(put)]).toEqual([200, {}]);
      expect(store.covers.get(1)).toMatchObject({ content_type: 'image/png', data: cover });
      const got = await send('GET', '/v1/shelves/1/books/1/cover');
      expect([got.status, got.headers['content-type'], got.body.equals(cover)]).toEqual([
        200,
        'image/png',
        true,
      ]);
      const pages = await send('GET', '/v1/shelves/1/books/1/pages');
      expect([pages.headers['content-type'], pages.body.toString()]).toEqual([
        'text/x-pages',
        'page one\npage two\n',
      ]);
    });

    test('an error is a status of HTTP, and JSON with its details', async () => {
      const answer = await send('GET', '/v1/shelves/1/books/99');
      expect([answer.status, answer.headers['content-type'], json(answer)]).toEqual([
        404,
        'application/json',
        {
          code: 5,
          message: 'no such book',
          details: [{ '@type': 'type.googleapis.com/books.v1.Missing', shelf: '1', book: '99' }],
        },
      ]);
      expect(answer.headers['grpc-status-details-bin']).toBeUndefined();
    });

    test('a failure of the proxy is its own answer', async () => {
      const answer = await send('DELETE', '/v1/shelves/1/books/1');
      expect([answer.status, answer.body.toString()]).toEqual([503, 'no healthy upstream']);
      expect(store.books.has(1)).toBe(true);
    });

    test('print options', async () => {
      const answer = await send('GET', '/v1/shelves/1/books/2', undefined, { 'x-style': 'all' });
      const { onLoan, ...others } = ZAUBERBERG;
      expect(json(answer)).toEqual({ ...others, binding: 1, price: 0, on_loan: onLoan });
    });

    test('unknown fields of a body are ignored, those of a line are not', async () => {
      const body = { title: 'x', pages: { count: [1, 2] }, shelf: 7 };
      const answer = await send('POST', '/v1/shelves/1/books?dry_run=true', body);
      expect([answer.status, json(answer)]).toEqual([200, { id: '7', title: 'x' }]);
      const refused = await send('GET', '/v1/shelves/1/books/1?colour=red', undefined, {
        'x-style': 'strict',
      });
      expect([refused.status, refused.body.toString()]).toEqual([400, expect.stringContaining('colour')]);
      const unknown = await send('GET', '/v1/nowhere', undefined, { 'x-style': 'strict' });
      expect(unknown.status).toBe(404);
    });

    test.each([
      ['no JSON', '{"title":'],
      ['a wrong type', '{"title": {"a": 1}}'],
      ['a wrong number', '{"id": "1.5"}'],
      ['too much of it', '{} {}'],
    ])('%s is a 400', async (_name, body) => {
      const answer = await send('POST', '/v1/shelves/1/books', body);
      expect([answer.status, answer.headers['content-type']]).toEqual([400, 'text/plain']);
    });

    test('limits: 413 and 500', async () => {
      const small = { 'x-style': 'small' };
      const title = 'long '.repeat(40);
      expect((await send('POST', '/v1/shelves/1/books', { title }, small)).status).toBe(413);
      expect((await send('GET', '/v1/shelves/1/books/1', undefined, small)).status).toBe(200);
      expect(
        (await send('POST', '/v1/shelves/1/books?dry_run=1', { title: 'z'.repeat(80) }, small)).status,
      ).toBe(500);
      expect(shared.proxy.used(/transcoder_.*_buffer_bytes/)).toEqual({});
    });

    test('300 KiB of JSON there and back', async () => {
      const title = 'a long "title" ☺ '.repeat(15_000);
      const answer = await send('POST', '/v1/shelves/1/books?dry_run=true', { title });
      expect([answer.status, (json(answer) as { title: string }).title === title]).toEqual([200, true]);
    });
  },
);

describe('grpc_json_transcoder', () => {
  let store: Bookstore;
  const shared = shareProxy(async () => {
    store = await Bookstore.start();
    return {
      upstream: store,
      upstreamFields: grpcCluster(),
      filters: [jsonTranscoder(config())],
      routes: [grpcRoute()],
    };
  });

  test('messages go out as they come', async () => {
    const gate = new Gate();
    store.betweenPages = () => gate.pass();
    const answer = await fetch(`http://127.0.0.1:${shared.proxy.port}/v1/shelves/1/books/1/pages`, {
      headers: { connection: 'close' },
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const first = await within(reader.read(), 'the first page');
    expect(Buffer.from(first.value as Uint8Array).toString()).toBe('page one\n');
    gate.open();
    const second = await reader.read();
    expect(Buffer.from(second.value as Uint8Array).toString()).toBe('page two\n');
    expect((await reader.read()).done).toBe(true);
  });

  test('a client of gRPC passes as it is', async () => {
    const client = new BookstoreClient(
      `127.0.0.1:${shared.proxy.port}`,
      grpc.credentials.createInsecure(),
    ) as grpc.Client & Record<string, (...args: unknown[]) => unknown>;
    const book = await new Promise((resolve, reject) => {
      client['GetBook']?.({ shelf: 1, book: 1 }, (error: Error | null, found: object) =>
        error === null ? resolve(found) : reject(error),
      );
    });
    client.close();
    expect(book).toMatchObject({ id: 1, title: 'Momo' });
  });
});
