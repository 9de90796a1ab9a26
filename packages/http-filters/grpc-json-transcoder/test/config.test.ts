import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type GrpcJsonTranscoder, GrpcJsonTranscoder_PrintOptionsSchema } from '@dragoman/api';
import { ConfigError, type CreateHttpFilter } from '@dragoman/core';
import { httpFilterConformance, requestHeaders, TestHttpStream, testContext } from '@dragoman/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { grpcJsonTranscoder } from '../src/index.ts';
import { config, GALLERY, Rig } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'transcoder-'));
afterAll(() => rmSync(folder, { recursive: true }));
function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
const inFile = (value: string) => ({ case: 'protoDescriptor', value }) as const;
const inline = (value: Uint8Array) => ({ case: 'protoDescriptorBin', value }) as const;
const service = (name: string) => config({ services: [`gallery.v1.${name}`] });

const withoutImports = (): Uint8Array => {
  const set = fromBinary(FileDescriptorSetSchema, GALLERY);
  return toBinary(FileDescriptorSetSchema, {
    ...set,
    file: set.file.filter(({ name }) => name === 'gallery.proto'),
  });
};

httpFilterConformance(
  { describe, it },
  {
    extension: grpcJsonTranscoder,
    config: config({ convertGrpcStatus: true, autoMapping: true }),
    invalid: [
      {
        name: 'a file that is not there',
        config: config({ descriptorSet: inFile(join(folder, 'none')) }),
        path: 'proto_descriptor',
      },
      {
        name: 'a file that is no descriptor set',
        config: config({ descriptorSet: inFile(file('text', Buffer.from('syntax = "proto3";'))) }),
        path: 'proto_descriptor',
      },
      {
        name: 'bytes that are no descriptor set',
        config: config({ descriptorSet: inline(Buffer.from('This is invalid proto')) }),
        path: 'proto_descriptor_bin',
      },
      {
        name: 'a set without its imports',
        config: config({ descriptorSet: inline(withoutImports()) }),
        path: 'proto_descriptor_bin',
      },
      { name: 'no set at all', config: config({ descriptorSet: { case: undefined } }), path: '' },
      { name: 'a service that is not there', config: service('Galery'), path: 'services[0]' },
      { name: 'a bad path template', config: service('BadTemplate'), path: 'services[0]' },
      { name: 'a body that is no field', config: service('BadBody'), path: 'services[0]' },
      { name: 'a response body that is no field', config: service('BadResponseBody'), path: 'services[0]' },
    ],
  },
);

function problems(typed: GrpcJsonTranscoder): string[] {
  try {
    grpcJsonTranscoder.create(typed as never, testContext());
    return [];
  } catch (error) {
    return (error as ConfigError).message.split('\n');
  }
}

describe('a config', () => {
  it('says all that is wrong with its services', () => {
    const services = ['Galery', 'BadTemplate', 'BadBody', 'BadResponseBody'].map(
      (name) => `gallery.v1.${name}`,
    );
    expect(problems(config({ services }))).toEqual([
      'services[0]: the descriptor set has no service "gallery.v1.Galery"; did you mean "gallery.v1.Gallery"?',
      'services[1]: method gallery.v1.BadTemplate.Call cannot be bound: path template "/a/{", at character 5: expected a field name, not the end',
      'services[2]: method gallery.v1.BadBody.Call cannot be bound: body "chamber": Could not find field "chamber" in the type "gallery.v1.CreateRoomRequest".',
      'services[3]: method gallery.v1.BadResponseBody.Call cannot be bound: response_body "chamber": Could not find field "chamber" in the type "gallery.v1.Room".',
    ]);
  });

  it('says what is wrong with its descriptors', () => {
    const [missing] = problems(config({ descriptorSet: inFile(join(folder, 'none')) }));
    expect(missing).toMatch(/^proto_descriptor: cannot read ".*none": ENOENT/);
    const [garbled] = problems(config({ descriptorSet: inline(Buffer.from([0xff])) }));
    expect(garbled).toMatch(
      /^proto_descriptor_bin: this is no serialised google\.protobuf\.FileDescriptorSet: /,
    );
    const [partial] = problems(config({ descriptorSet: inline(withoutImports()) }));
    expect(partial).toMatch(
      /^proto_descriptor_bin: the descriptor set is not complete \(protoc: --include_imports\): /,
    );
  });

  it('warns of bindings that are never used', () => {
    const context = testContext();
    grpcJsonTranscoder.create(
      config({ services: ['gallery.v1.Gallery', 'gallery.v1.Twins'] }) as never,
      context,
    );
    expect(context.warnings).toEqual([
      'services: several bindings are for GET /twins: none of them is used, as in Envoy',
      'services: {chamber} in a path template of gallery.v1.Gallery.Misnamed: Could not find field "chamber" in the type "gallery.v1.GetRoomRequest".',
    ]);
    const rig = new Rig('GET /twins', { services: ['gallery.v1.Twins'] });
    rig.request();
    expect(rig.stream.requestHeaders.path).toBe('/twins');
  });

  it('reads a file, whose files may stand in any order', () => {
    const set = fromBinary(FileDescriptorSetSchema, GALLERY);
    set.file.reverse();
    const path = file('gallery.binpb', toBinary(FileDescriptorSetSchema, set));
    const rig = new Rig('GET /v1/rooms', { descriptorSet: inFile(path) });
    rig.request();
    expect(rig.stream.requestHeaders.path).toBe('/gallery.v1.Gallery/ListRooms');
  });

  it('without services does nothing, and reads nothing', () => {
    for (const descriptorSet of [inline(new Uint8Array()), inFile('/does/not/exist')]) {
      const rig = new Rig('GET /v1/rooms', { services: [], descriptorSet });
      rig.request();
      expect(rig.stream.requestHeaders.path).toBe('/v1/rooms');
    }
  });

  it('makes its gauges at once', () => {
    const context = testContext();
    grpcJsonTranscoder.create(config() as never, context);
    expect(context.stats.names).toEqual(
      expect.arrayContaining([
        'http.test.transcoder_request_buffer_bytes',
        'http.test.transcoder_response_buffer_bytes',
      ]),
    );
  });

  it('takes a message of print options with the number that Envoy gives it', () => {
    const bytes = toBinary(
      GrpcJsonTranscoder_PrintOptionsSchema,
      create(GrpcJsonTranscoder_PrintOptionsSchema, { streamSseStyleDelimited: true }),
    );
    expect([...bytes]).toEqual([0x30, 1]);
  });
});

describe('a config of a route', () => {
  const perRoute = (typed: GrpcJsonTranscoder) =>
    grpcJsonTranscoder.createPerRoute?.(typed as never, testContext());
  const pathWith = (own: GrpcJsonTranscoder, route: GrpcJsonTranscoder) => {
    const factory = grpcJsonTranscoder.create(own as never, testContext()) as CreateHttpFilter;
    const request = requestHeaders({ ':path': '/twins' });
    const stream = new TestHttpStream({ request, perRoute: [perRoute(route)] });
    factory(stream).onRequestHeaders?.(request, false);
    return request.path;
  };
  const rooms = config({ services: ['gallery.v1.Gallery'], autoMapping: true });
  const off = config({ services: [] });

  it('takes the place of the filter’s own', () => {
    const own = new Rig('GET /v1/rooms', { services: [] }, { perRoute: [perRoute(rooms)] });
    own.request();
    expect(own.stream.requestHeaders.path).toBe('/gallery.v1.Gallery/ListRooms');
  });

  it('without services turns the filter off', () => {
    const rig = new Rig('GET /v1/rooms', {}, { perRoute: [perRoute(off)] });
    rig.request();
    expect(rig.stream.requestHeaders.path).toBe('/v1/rooms');
    expect(pathWith(rooms, off)).toBe('/twins');
  });

  it('is checked as the filter’s own', () => {
    expect(() => perRoute(service('BadTemplate'))).toThrow(ConfigError);
  });
});
