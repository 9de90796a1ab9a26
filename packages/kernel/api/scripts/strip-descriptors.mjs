/**
 * Makes the descriptor set that ships: what the loader needs at run time and nothing else.
 *
 * Dropped: comments, every option but `deprecated`, `packed`, `map_entry`, `allow_alias`, `validate.*` and
 * `udpa.annotations.sensitive`; files that only carry annotations; imports left unused by that.
 */
const VALIDATE = 1071; // validate.rules (fields), validate.required (oneofs), validate.disabled (messages)
const SENSITIVE = 76569463; // udpa.annotations.sensitive

const KEEP_FIELDS = {
  file: [],
  message: ['mapEntry', 'deprecated'],
  field: ['packed', 'deprecated'],
  oneof: [],
  enum: ['allowAlias', 'deprecated'],
  value: ['deprecated'],
};

function strip(holder, kind) {
  const options = holder.options;
  if (options === undefined) return;
  const unknown = (options.$unknown ?? []).filter((u) => u.no === VALIDATE || u.no === SENSITIVE);
  const kept = { $typeName: options.$typeName };
  // Presence in protobuf-es lives on the prototype, so the kept values are set on an object of the same one.
  const next = Object.assign(Object.create(Object.getPrototypeOf(options)), kept);
  for (const list of ['uninterpretedOption', 'targets', 'editionDefaults']) {
    if (Array.isArray(options[list])) next[list] = [];
  }
  let used = unknown.length > 0;
  for (const key of KEEP_FIELDS[kind]) {
    if (Object.hasOwn(options, key)) {
      next[key] = options[key];
      used = true;
    }
  }
  if (unknown.length > 0) next.$unknown = unknown;
  holder.options = used ? next : undefined;
}

function stripEnum(enumeration) {
  strip(enumeration, 'enum');
  for (const value of enumeration.value) strip(value, 'value');
}

function stripMessage(message, used) {
  strip(message, 'message');
  message.reservedName = [];
  message.reservedRange = [];
  for (const field of [...message.field, ...message.extension]) {
    strip(field, 'field');
    if (field.typeName) used.add(field.typeName.slice(1));
    if (field.extendee) used.add(field.extendee.slice(1));
  }
  for (const oneof of message.oneofDecl) strip(oneof, 'oneof');
  for (const nested of message.nestedType) stripMessage(nested, used);
  for (const nested of message.enumType) stripEnum(nested);
}

function* typeNames(prefix, messages, enums) {
  for (const e of enums) yield `${prefix}${e.name}`;
  for (const m of messages) {
    yield `${prefix}${m.name}`;
    yield* typeNames(`${prefix}${m.name}.`, m.nestedType, m.enumType);
  }
}

/** Map entries are no types of their own to protobuf-es. */
const withoutMapEntries = (messages) =>
  messages
    .filter((message) => !message.options?.mapEntry)
    .map((message) => ({ ...message, nestedType: withoutMapEntries(message.nestedType) }));

/** Everything that can be looked up in a file, relative to its package: messages, enums, services, extensions. */
export function* typeNamesOf(file) {
  yield* typeNames('', withoutMapEntries(file.messageType), file.enumType);
  for (const service of file.service) yield service.name;
  for (const extension of file.extension) yield extension.name;
}

/** Strips `set` in place and drops the files that `roots` (file names) no longer need. */
export function stripDescriptors(set, roots) {
  const home = new Map();
  for (const file of set.file) {
    const prefix = file.package ? `${file.package}.` : '';
    for (const name of typeNames(prefix, file.messageType, file.enumType)) home.set(name, file.name);
  }
  for (const file of set.file) {
    const used = new Set();
    file.sourceCodeInfo = undefined;
    file.options = undefined;
    for (const message of file.messageType) stripMessage(message, used);
    for (const enumeration of file.enumType) stripEnum(enumeration);
    for (const field of file.extension) {
      strip(field, 'field');
      if (field.typeName) used.add(field.typeName.slice(1));
      used.add(field.extendee.slice(1));
    }
    for (const service of file.service) {
      service.options = undefined;
      for (const method of service.method) {
        method.options = undefined;
        used.add(method.inputType.slice(1));
        used.add(method.outputType.slice(1));
      }
    }
    const needed = new Set([...used].map((name) => home.get(name)).filter((name) => name !== file.name));
    file.dependency = file.dependency.filter((name) => needed.has(name));
    for (const name of needed) {
      if (!file.dependency.includes(name)) file.dependency.push(name); // it came through a public import
    }
    file.publicDependency = [];
    file.weakDependency = [];
  }
  const byName = new Map(set.file.map((file) => [file.name, file]));
  const keep = new Set();
  const visit = (name) => {
    if (keep.has(name)) return;
    keep.add(name);
    for (const dependency of byName.get(name).dependency) visit(dependency);
  };
  roots.forEach(visit);
  set.file = set.file.filter((file) => keep.has(file.name));
}
