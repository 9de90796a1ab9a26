#!/usr/bin/env node
// Makes gallery.binpb, a serialised google.protobuf.FileDescriptorSet, of gallery.proto and what it imports:
//   node test/build-descriptors.mjs
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const googleapis = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps', 'googleapis');
const buf = join(dirname(require.resolve('@bufbuild/buf/package.json')), 'bin', 'buf');
const IMPORTED = [
  'google/api/annotations.proto',
  'google/api/http.proto',
  'google/api/httpbody.proto',
  'google/rpc/error_details.proto',
];

const stage = mkdtempSync(join(tmpdir(), 'gallery-'));
try {
  for (const path of IMPORTED) cpSync(join(googleapis, path), join(stage, path));
  cpSync(join(here, 'gallery.proto'), join(stage, 'gallery.proto'));
  const output = join(here, 'gallery.binpb');
  const options = ['--as-file-descriptor-set', '--exclude-source-info', '-o', output];
  execFileSync(process.execPath, [buf, 'build', stage, ...options], { stdio: 'inherit' });
} finally {
  rmSync(stage, { recursive: true });
}
