#!/usr/bin/env node
// Makes bookstore.binpb, a serialised google.protobuf.FileDescriptorSet, of bookstore.proto and what it imports:
//   node test-e2e/support/bookstore.mjs
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
const IMPORTED = ['google/api/annotations.proto', 'google/api/http.proto', 'google/api/httpbody.proto'];

const stage = mkdtempSync(join(tmpdir(), 'bookstore-'));
try {
  for (const path of IMPORTED) cpSync(join(googleapis, path), join(stage, path));
  cpSync(join(here, 'bookstore.proto'), join(stage, 'bookstore.proto'));
  const output = join(here, 'bookstore.binpb');
  const options = ['--as-file-descriptor-set', '--exclude-source-info', '-o', output];
  execFileSync(process.execPath, [buf, 'build', stage, ...options], { stdio: 'inherit' });
} finally {
  rmSync(stage, { recursive: true });
}
