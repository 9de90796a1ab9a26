#!/usr/bin/env node
/**
 * Generates `src/gen` (git-ignored) from the protos inside the npm package `@grpc/grpc-js-xds` and the fragments in
 * `overlay/`: one descriptor set as a file, one type-only module per proto file, one index of schemas.
 *
 *   node packages/kernel/api/scripts/generate.mjs [--force]
 *
 * Does nothing when no input has changed since the last run (hash kept in `src/gen/.inputs`).
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { indexModule } from './index-module.mjs';
import { mergeProto } from './merge-overlay.mjs';
import { stripDescriptors, typeNamesOf } from './strip-descriptors.mjs';

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const out = join(root, 'src', 'gen');
const work = join(root, 'node_modules', '.cache', 'api');
const require = createRequire(import.meta.url);

const ANY_WELL_KNOWN = 'dragoman/well_known_types.proto';
const WELL_KNOWN = ['any', 'duration', 'empty', 'field_mask', 'struct', 'timestamp', 'wrappers'];
/** Files that go: the project they describe was removed from Envoy, and what they import is not shipped. */
const DROPPED = ['envoy/config/trace/v3/opencensus.proto', 'envoy/service/trace/v3/trace_service.proto'];
/** Everything of these is part of the API; the rest comes in when something imports it. */
const isRoot = (path) =>
  /^envoy\/.*\/v3(alpha)?\//.test(path) ||
  /^(xds|udpa|contrib)\//.test(path) ||
  /^dragoman\/clusters\//.test(path) ||
  /^opentelemetry\//.test(path);

const depsFolder = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const overlayFolder = join(root, 'overlay');

/** Path inside the include folder → proto text with Unix line ends. */
function readProtos() {
  const protos = new Map();
  for (const folder of ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']) {
    const base = join(depsFolder, folder);
    for (const path of globSync('**/*.proto', { cwd: base })) {
      if (path.startsWith('tests/') || path.startsWith('java/')) continue;
      protos.set(path.replaceAll('\\', '/'), readFileSync(join(base, path), 'utf8').replaceAll('\r\n', '\n'));
    }
  }
  return protos;
}

function inputsHash() {
  const hash = createHash('sha256');
  const scripts = globSync('*.mjs', { cwd: here }).sort();
  for (const name of scripts) hash.update(readFileSync(join(here, name)));
  for (const path of globSync('**/*.proto', { cwd: overlayFolder }).sort()) {
    hash.update(path).update(readFileSync(join(overlayFolder, path)));
  }
  for (const name of ['@grpc/grpc-js-xds', '@bufbuild/buf', '@bufbuild/protobuf']) {
    hash.update(readFileSync(manifest(name)));
  }
  return hash.digest('hex');
}

/** A package's package.json, also where its `exports` hide it. */
function manifest(name) {
  for (let folder = root; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name, 'package.json');
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) throw new Error(`${name} is not installed: run npm install`);
  }
}

/** The path of a package's command. */
function command(name, bin) {
  const path = manifest(name);
  const entry = JSON.parse(readFileSync(path, 'utf8')).bin;
  return join(dirname(path), typeof entry === 'string' ? entry : entry[bin]);
}

/** The numbers are those of the published validate.proto, which the shipped one predates. */
function addIgnoreEmpty(text) {
  const numbers = { StringRules: 26, BytesRules: 14, RepeatedRules: 6, MapRules: 6 };
  const next = text.replace(/^message (\w+Rules) \{$/gm, (line, name) => {
    if (/^(Field|Message|Bool|Enum|Any|Duration|Timestamp)Rules$/.test(name)) return line;
    return `${line}\n    optional bool ignore_empty = ${numbers[name] ?? 8};`;
  });
  if (next === text) throw new Error('validate.proto has another shape than expected');
  return next;
}

function stage() {
  const protos = readProtos();
  for (const path of DROPPED) {
    if (!protos.delete(path)) throw new Error(`${path} is gone: remove it from DROPPED`);
  }
  const validate = 'validate/validate.proto';
  if (!protos.get(validate).includes('ignore_empty'))
    protos.set(validate, addIgnoreEmpty(protos.get(validate)));
  for (const [path, text] of protos) {
    protos.set(path, text.replace(/^import (public )?"envoy\/config\/trace\/v3\/opencensus\.proto";\n/m, ''));
  }
  for (const path of globSync('**/*.proto', { cwd: overlayFolder }).sort()) {
    const key = path.replaceAll('\\', '/');
    const fragment = readFileSync(join(overlayFolder, path), 'utf8');
    protos.set(key, protos.has(key) ? mergeProto(protos.get(key), fragment) : fragment);
  }
  protos.set(
    ANY_WELL_KNOWN,
    [
      'syntax = "proto3";',
      'package dragoman;',
      ...WELL_KNOWN.map((n) => `import "google/protobuf/${n}.proto";`),
    ].join('\n'),
  );

  const wanted = new Set();
  const visit = (path) => {
    if (wanted.has(path) || path.startsWith('google/protobuf/')) return;
    const text = protos.get(path);
    if (text === undefined) throw new Error(`no proto file ${path}`);
    wanted.add(path);
    for (const [, dependency] of text.matchAll(/^import (?:public )?"([^"]+)";/gm)) visit(dependency);
  };
  const roots = [...protos.keys()].filter(isRoot);
  roots.forEach(visit);
  visit(ANY_WELL_KNOWN);

  const folder = join(work, 'stage');
  rmSync(folder, { recursive: true, force: true });
  for (const path of wanted) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), protos.get(path));
  }
  return { folder, roots };
}

/** An `enum` is not erasable syntax: each becomes an object type and a union of its numbers. */
function erasableEnums(text, path) {
  const next = text.replace(/^export enum (\w+) \{\n([\s\S]*?)^\}$/gm, (_, name, body) => {
    const members = body.replace(/^( {2})(\w+) = (-?\d+),$/gm, '$1readonly $2: $3;');
    const numbers = [...body.matchAll(/^ {2}\w+ = (-?\d+),$/gm)].map((m) => m[1]);
    if (numbers.length === 0) throw new Error(`${path}: enum ${name} has no values`);
    return `export declare const ${name}: {\n${members}  readonly [value: number]: string;\n};\nexport type ${name} = ${[...new Set(numbers)].join(' | ')};`;
  });
  if (/^export (declare )?enum/m.test(next))
    throw new Error(`${path}: an enum has another shape than expected`);
  return next;
}

async function main() {
  const stamp = join(out, '.inputs');
  const hash = inputsHash();
  if (!process.argv.includes('--force') && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  const started = performance.now();
  mkdirSync(work, { recursive: true });
  const { folder, roots } = stage();
  writeFileSync(join(folder, 'buf.yaml'), 'version: v2\n');

  const image = join(work, 'image.binpb');
  const types = join(work, 'types');
  rmSync(types, { recursive: true, force: true });
  const template = {
    version: 'v2',
    plugins: [
      {
        local: [process.execPath, command('@bufbuild/protoc-gen-es', 'protoc-gen-es')],
        out: types,
        opt: ['target=dts', 'import_extension=ts'],
        strategy: 'all',
        include_imports: true,
      },
    ],
  };
  const buf = command('@bufbuild/buf', 'buf');
  const quiet = { env: { ...process.env, BUF_CACHE_DIR: join(work, 'buf') }, maxBuffer: 64 << 20 };
  await run(process.execPath, [buf, 'build', folder, '-o', image], quiet);
  await run(process.execPath, [buf, 'generate', image, '--template', JSON.stringify(template)], quiet);

  const set = fromBinary(FileDescriptorSetSchema, readFileSync(image));
  stripDescriptors(set, [
    ...roots.filter((path) => !path.includes('/annotations/')),
    ...WELL_KNOWN.map((name) => `google/protobuf/${name}.proto`),
    'udpa/annotations/sensitive.proto',
    'validate/validate.proto',
  ]);
  const binaries = set.file.map((file) => toBinary(FileDescriptorProtoSchema, file));
  const binary = Buffer.concat(binaries);
  const contents = set.file.map((file, i) =>
    [file.name, binaries[i].length, file.package, ...typeNamesOf(file)].join(' '),
  );

  const fresh = join(work, 'gen');
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const notice =
    '// Generated by scripts/generate.mjs from the Envoy API protos (Apache-2.0). Do not edit.\n';
  writeFileSync(join(fresh, 'descriptors.bin'), binary);
  writeFileSync(
    join(fresh, 'descriptors.ts'),
    `${notice}import { readFileSync } from 'node:fs';

/** The files of the API as serialised FileDescriptorProtos, one after the other. A file: as text in a module it would be there twice on every thread. */
export const descriptors: Uint8Array = readFileSync(new URL('./descriptors.bin', import.meta.url));
/** A line a file: its name, its length in bytes, its package, and the names in it, relative to the package. */
export const contents: string = \`${contents.join('\n')}\`;
`,
  );
  const modules = new Map();
  for (const path of globSync('**/*_pb.d.ts', { cwd: types }).sort()) {
    const target = path.replaceAll('\\', '/').replace(/\.d\.ts$/, '.ts');
    const text = erasableEnums(readFileSync(join(types, path), 'utf8'), path);
    modules.set(target, text);
    mkdirSync(dirname(join(fresh, target)), { recursive: true });
    writeFileSync(join(fresh, target), text);
  }
  const { text, report } = indexModule(set, modules);
  writeFileSync(join(fresh, 'index.ts'), notice + text);
  writeFileSync(join(fresh, '.inputs'), hash);
  rmSync(out, { recursive: true, force: true });
  renameSync(fresh, out); // whole or not at all: tests may be running
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(
    `${relative(process.cwd(), out)}: ${set.file.length} proto files, ${report}, ${(binary.length / 1024).toFixed(0)} KiB of descriptors, ${seconds} s\n`,
  );
}

await main();
