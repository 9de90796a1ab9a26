/** Envoy's extensions, as its protos name them, beside those of the sidecar. */
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CATEGORIES, extensionNames } from '../layers/categories.mjs';
import { table } from './blocks.mjs';

/** Where a proto says which extension a message configures. */
const TAG = /\[#extension: ([\w. ,]+)\]/g;
/** Extensions of the API that others read by themselves, without one of their own. */
const BUILT_IN = {
  'envoy.route.early_data_policy.default': '@dragoman/http',
  'envoy.tls.cert_validator.spiffe': '@dragoman/transport-socket-tls',
  'envoy.upstreams.http.http_protocol_options': '@dragoman/upstream',
};
/** Extensions that a proto calls otherwise than the code that reads it. */
const NAMES = {
  'envoy.resource_monitors.downstream_connections':
    'envoy.resource_monitors.global_downstream_max_connections',
};
const OTHER = 'Kinds of extension that have no category yet';

/**
 * @param {string} text of a .proto file
 * @returns {{ name: string, typeName: string | undefined }[]} extensions and the messages that configure them
 */
export function taggedExtensions(text) {
  const space = /^package ([\w.]+);/m.exec(text)?.[1];
  return [...text.matchAll(TAG)].flatMap((match) => {
    const message = /^message (\w+)/m.exec(text.slice(match.index))?.[1];
    const typeName = message === undefined ? undefined : `${space}.${message}`;
    return match[1].split(',').map((name) => ({ name: name.trim(), typeName }));
  });
}

/** The folder of `packages/` that an extension of this name belongs in, by the longest name space that fits. */
export function categoryOf(name) {
  let best;
  let length = 0;
  for (const [category, { envoy }] of Object.entries(CATEGORIES)) {
    for (const space of envoy) {
      const rest = name.slice(space.length + 1);
      // One word more: `envoy.filters.http.upstream.x` would be of another kind.
      if (!name.startsWith(`${space}.`) || rest.includes('.') || space.length <= length) continue;
      best = category;
      length = space.length;
    }
  }
  return best;
}

/** Every tagged extension of the published API, by name. */
function envoyExtensions(root) {
  const require = createRequire(join(root, 'packages/kernel/api/package.json'));
  const folder = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps', 'envoy-api');
  const found = new Map();
  for (const file of globSync('envoy/**/*.proto', { cwd: folder }).sort()) {
    if (!file.includes('v3')) continue;
    for (const extension of taggedExtensions(readFileSync(join(folder, file), 'utf8').replaceAll('\r', ''))) {
      const name = NAMES[extension.name] ?? extension.name;
      if (!found.has(name)) found.set(name, { ...extension, name });
    }
  }
  return found;
}

/** One table for each category: what there is, and which package would bring what there is not. */
export function extensionTables(root, { core, extensions }, packages) {
  const all = envoyExtensions(root);
  for (const { name, config } of extensions) {
    if (!all.has(name)) all.set(name, { name, typeName: config?.typeName });
  }
  const present = new Map(extensions.map((extension) => [extension.name, extension]));
  const groups = new Map([...Object.keys(CATEGORIES), OTHER].map((category) => [category, []]));
  for (const { name, typeName } of all.values()) {
    const extension = present.get(name);
    const category = extension?.category ?? categoryOf(name);
    const planned = category === undefined ? undefined : core.plannedPackage(category, name, typeName);
    const there = extension !== undefined || Object.hasOwn(BUILT_IN, name);
    const provider = there ? (BUILT_IN[name] ?? providerOf(packages, name) ?? planned) : planned;
    groups
      .get(category ?? OTHER)
      .push([
        `\`${name}\``,
        there ? '**supported**' : 'not yet',
        provider === undefined ? '' : `${there ? '' : 'would be '}\`${provider}\``,
      ]);
  }
  const sections = [];
  for (const [category, rows] of groups) {
    if (rows.length === 0) continue;
    rows.sort(([a], [b]) => (a < b ? -1 : 1));
    sections.push(`### ${category}\n\n${table(['extension', '', 'package'], rows)}`);
  }
  return sections.join('\n\n');
}

/** The workspace that an extension is in: the folder of its name, else the kernel package that defines it. */
function providerOf(packages, name) {
  const inFolder = packages.find(({ dir }) => {
    const [, category, folder] = dir.split('/');
    return CATEGORIES[category] !== undefined && extensionNames(category, folder).includes(name);
  });
  const found =
    inFolder ??
    packages.find(({ sources }) =>
      new RegExp(`(define\\w+\\(\\{\\s*name: |^const NAME = )'${name}'`, 'm').test(sources),
    );
  return found?.name;
}
