import { readFileSync } from 'node:fs';
import { type Message, create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type GrpcJsonTranscoder,
  GrpcJsonTranscoderSchema,
  fromJson,
  type JsonValue,
  toJson,
} from '@dragoman/api';
import {
  type CreateHttpFilter,
  type HttpFilter,
  type LocalReply,
  ResponseHeaders,
  type Trailers,
} from '@dragoman/core';
import { encodeGrpcFrame, GrpcFrameReader } from '@dragoman/grpc-frames';
import { type EditedStream, FilterRun, type Passed, trailers } from '@dragoman/grpc-testing';
import {
  requestHeaders,
  responseHeaders,
  type TestContext,
  type TestStreamOptions,
  testContext,
} from '@dragoman/testing';
import { readDescriptors } from '../src/descriptors.ts';
import { grpcJsonTranscoder } from '../src/index.ts';

/** What build-descriptors.mjs has made of gallery.proto. */
export const GALLERY: Buffer = readFileSync(new URL('./gallery.binpb', import.meta.url));
const types = readDescriptors(GALLERY);

type ConfigInit = MessageInitShape<typeof GrpcJsonTranscoderSchema>;

/** The filter's config for the gallery. */
export function config(over: ConfigInit = {}): GrpcJsonTranscoder {
  return create(GrpcJsonTranscoderSchema, {
    descriptorSet: { case: 'protoDescriptorBin', value: GALLERY },
    services: ['gallery.v1.Gallery'],
    ...over,
  });
}

/** A message of the gallery, serialised, from its JSON. `Room` is `gallery.v1.Room`. */
export function message(type: string, json: JsonValue): Buffer {
  const schema = typeNamed(type);
  return Buffer.from(toBinary(schema, fromJson(schema, json, { registry: types })));
}

export function frame(type: string, json: JsonValue): Buffer {
  return encodeGrpcFrame(message(type, json));
}

function typeNamed(type: string) {
  const schema = types.getMessage(type.includes('.') ? type : `gallery.v1.${type}`);
  if (schema === undefined) throw new Error(`no type ${type}`);
  return schema;
}

/** The JSON of the messages in gRPC frames. */
export function messagesIn(type: string, frames: Buffer): JsonValue[] {
  const schema = typeNamed(type);
  const reader = new GrpcFrameReader({ maxMessageBytes: 1 << 24 });
  reader.push(frames);
  const found: JsonValue[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) {
    const read: Message = fromBinary(schema, next.message, { recursionLimit: 200 });
    found.push(toJson(schema, read, { registry: types }) as JsonValue);
  }
  if (reader.pendingBytes > 0 || reader.failure !== undefined) throw new Error('no whole frames');
  return found;
}

/** A message as a test gives it: pieces of its body (none: it ends with its headers), and its trailers. */
export interface Sent {
  readonly body?: readonly (string | Buffer)[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** The filter on one stream. */
export class Rig {
  readonly context: TestContext = testContext();
  /** The response's headers, as the client gets them. */
  response: ResponseHeaders = new ResponseHeaders();
  private readonly run: FilterRun;

  /** @param line `GET /path` */
  constructor(line: string, over: ConfigInit = {}, { headers = {}, ...options }: RigOptions = {}) {
    const [method = '', path = ''] = line.split(' ');
    const create = grpcJsonTranscoder.create(config(over) as never, this.context) as CreateHttpFilter;
    const request = requestHeaders({ ':method': method, ':path': path, ...headers });
    this.run = new FilterRun(create, { ...options, request });
  }

  get stream(): EditedStream {
    return this.run.stream;
  }

  get filter(): HttpFilter {
    return this.run.filter;
  }

  get reply(): LocalReply | undefined {
    return this.stream.replies[0];
  }

  /** `status details`; undefined when the filter has not replied. */
  get rejection(): string | undefined {
    return this.reply === undefined ? undefined : `${this.reply.status} ${this.reply.details}`;
  }

  /** Brings a request to the filter; what would go upstream comes back. */
  request({ body = [], trailers }: Sent = {}): Passed {
    return this.run.request({
      body: body.map((piece) => Buffer.from(piece as string)),
      trailers: fields(trailers),
    });
  }

  /** Brings a gRPC response to the filter; what would go to the client comes back. */
  respond({ body = [], trailers }: Sent, headers: Readonly<Record<string, string>> = {}): Passed {
    this.response = responseHeaders({ 'content-type': 'application/grpc', ...headers });
    const pieces = body.map((piece) => Buffer.from(piece as string));
    return this.run.response(this.response, { body: pieces, trailers: fields(trailers) });
  }

  gauge(name: 'request' | 'response'): number {
    return this.context.stats.used()[`http.test.transcoder_${name}_buffer_bytes`] ?? 0;
  }
}

interface RigOptions extends TestStreamOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly bufferLimit?: number;
}

function fields(entries: Sent['trailers']): Trailers | undefined {
  return entries === undefined ? undefined : trailers(entries);
}
