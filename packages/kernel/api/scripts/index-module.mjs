/**
 * Writes `src/gen/index.ts`: every message, enum and service of the API under one flat name, taken from the one
 * registry at run time and from the generated type modules at compile time.
 */

/**
 * Who gets the plain name when several packages have a message of that name: the first of these that has it; with
 * none of these, only a name that is unique stays plain. All others get their package's name in front
 * (`envoy.admin.v3.Listener` … `AdminCluster`).
 */
const PLAIN = [
  'google.protobuf',
  'envoy.config.bootstrap.v3',
  'envoy.config.route.v3',
  'envoy.config.core.v3',
  'envoy.config.listener.v3',
  'envoy.config.cluster.v3',
  'envoy.config.endpoint.v3',
  'envoy.config.accesslog.v3',
  'envoy.extensions.filters.network.http_connection_manager.v3',
  'envoy.extensions.transport_sockets.tls.v3',
  'envoy.type.v3',
  'envoy.type.matcher.v3',
  'envoy.type.metadata.v3',
  'envoy.type.tracing.v3',
  'envoy.service.discovery.v3',
  'envoy.config.trace.v3',
  'envoy.config.metrics.v3',
  'envoy.config.overload.v3',
  'envoy.config.rbac.v3',
];
/** Packages whose names are too common to stand alone: these words always go in front. */
const PREFIXED = [
  ['validate', 'Validate'],
  ['xds.', 'Xds'],
  ['udpa.', 'Udpa'],
  ['google.api.expr.', 'Cel'],
  ['google.api.', 'Api'],
  ['google.rpc.', 'Rpc'],
  ['io.prometheus.', 'Prometheus'],
  ['opentelemetry.', 'Otlp'],
  ['envoy.extensions.upstreams.http.v3', 'Upstreams'],
  ['envoy.extensions.upstreams.tcp.v3', 'Upstreams'],
];
const fixedPrefix = (packageName) => PREFIXED.find(([start]) => packageName.startsWith(start))?.[1];
const isHttpFilter = (packageName) => packageName.startsWith('envoy.extensions.filters.http.');

const pascal = (word) =>
  word
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');

/** Package segments that tell where a name is from, nearest first: `…filters.http.lua.v3` → lua, http, filters. */
function segments(packageName) {
  return packageName
    .split('.')
    .filter((part) => !/^(envoy|v\d\w*|extensions|config|google)$/.test(part))
    .reverse();
}

function localName(path, packageName) {
  return (packageName ? path.slice(packageName.length + 1) : path).replaceAll('.', '_');
}

function* declarations(file) {
  const prefix = file.package ? `${file.package}.` : '';
  const enums = function* (list, scope) {
    for (const e of list) yield { kind: 'enumeration', typeName: scope + e.name };
  };
  const messages = function* (list, scope) {
    for (const m of list) {
      if (m.options?.mapEntry) continue;
      yield { kind: 'message', typeName: scope + m.name };
      yield* enums(m.enumType, `${scope}${m.name}.`);
      yield* messages(m.nestedType, `${scope}${m.name}.`);
    }
  };
  yield* enums(file.enumType, prefix);
  yield* messages(file.messageType, prefix);
  for (const s of file.service) yield { kind: 'service', typeName: prefix + s.name };
}

/** Gives each declaration its exported name; a whole nest follows its outermost message. */
function assignNames(all) {
  const byTop = new Map();
  for (const d of all) {
    if (!byTop.has(d.top)) byTop.set(d.top, new Set());
    byTop.get(d.top).add(d.packageName);
  }
  const prefixOf = new Map();
  const taken = new Map();
  const give = (packageName, top, prefix) => {
    if (taken.has(prefix + top))
      throw new Error(`${prefix}${top}: ${packageName} and ${taken.get(prefix + top)}`);
    taken.set(prefix + top, packageName);
    prefixOf.set(`${packageName}:${top}`, prefix);
  };
  for (const [top, packages] of byTop) {
    const free = [];
    for (const name of packages) {
      const prefix = fixedPrefix(name);
      if (prefix === undefined) free.push(name);
      else give(name, top, prefix);
    }
    const filters = free.filter(isHttpFilter);
    const plain =
      PLAIN.find((name) => free.includes(name)) ?? (filters.length === 1 ? filters[0] : undefined);
    if (free.length === 1) give(free[0], top, '');
    else if (plain !== undefined) give(plain, top, '');
  }
  for (const [top, packages] of byTop) {
    for (const name of [...packages].sort()) {
      if (prefixOf.has(`${name}:${top}`)) continue;
      let prefix = '';
      for (const segment of segments(name)) {
        const word = pascal(segment);
        if (prefix === '' && top.toLowerCase().startsWith(word.toLowerCase())) continue; // no `CorsCorsPolicy`
        prefix = word + prefix;
        if (!taken.has(prefix + top)) break;
      }
      give(name, top, prefix);
    }
  }
  for (const d of all) d.exported = prefixOf.get(`${d.packageName}:${d.top}`) + d.local;
}

/**
 * @param set the stripped FileDescriptorSet
 * @param modules generated type modules: path → text
 */
export function indexModule(set, modules) {
  const all = [];
  const lines = ["import { enumeration, message, service } from '../registry.ts';"];
  let number = 0;
  for (const file of set.file) {
    const path = file.name.replace(/\.proto$/, '_pb.ts');
    const wellKnown = file.name.startsWith('google/protobuf/');
    const text = modules.get(path);
    const list = [...declarations(file)];
    if (list.length === 0 || (wellKnown && text === undefined)) continue;
    if (text === undefined) throw new Error(`no generated types for ${file.name}`);
    const alias = `m${number++}`;
    lines.push(`import type * as ${alias} from './${path}';`);
    for (const d of list) {
      const local = localName(d.typeName, file.package);
      const schema = d.kind === 'service' ? local : `${local}Schema`;
      if (!new RegExp(`export declare const ${schema}\\b`).test(text)) {
        throw new Error(`${path} declares no ${schema}: has the generator's output changed?`);
      }
      const top = (file.package ? d.typeName.slice(file.package.length + 1) : d.typeName).split('.')[0];
      all.push({ ...d, alias, local, top, packageName: file.package, file: file.name });
    }
  }
  const declared = [...modules.values()].flatMap(
    (text) => text.match(/export declare const \w+: Gen(Message|Enum|Service)</g) ?? [],
  );
  const own = all.length;
  if (declared.length < own) throw new Error(`${declared.length} generated schemas, ${own} descriptors`);

  assignNames(all);
  const names = new Set();
  let file = '';
  for (const d of all) {
    if (names.has(d.exported)) throw new Error(`${d.exported} is exported twice (${d.typeName})`);
    names.add(d.exported);
    if (d.file !== file) lines.push('', `// ${(file = d.file)}`);
    const call = `${d.kind}<typeof ${d.alias}.`;
    const pure = '/*@__PURE__*/ ';
    if (d.kind === 'message') {
      lines.push(`export type ${d.exported} = ${d.alias}.${d.local};`);
      lines.push(
        `export const ${d.exported}Schema: typeof ${d.alias}.${d.local}Schema = ${pure}${call}${d.local}Schema>('${d.typeName}');`,
      );
    } else if (d.kind === 'enumeration') {
      lines.push(`export type ${d.exported} = ${d.alias}.${d.local};`);
      lines.push(
        `export const ${d.exported}: typeof ${d.alias}.${d.local} = ${pure}${call}${d.local}>('${d.typeName}');`,
      );
    } else {
      lines.push(
        `export const ${d.exported}: typeof ${d.alias}.${d.local} = ${pure}${call}${d.local}>('${d.typeName}');`,
      );
    }
  }
  const count = (kind) => all.filter((d) => d.kind === kind).length;
  const report = `${count('message')} messages, ${count('enumeration')} enums, ${count('service')} services`;
  return { text: `${lines.join('\n')}\n`, report, all };
}
