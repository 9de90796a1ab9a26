import {
  createFileRegistry,
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

type Type = DescMessage | DescEnum | DescExtension | DescService;

/**
 * A registry that builds a file's descriptors when a type of it is first asked for. Building all of the API takes some
 * 50 ms, and a process uses a third of it; going through the whole registry (iteration, `files`) builds the rest.
 */
export class LazyRegistry implements FileRegistry {
  readonly kind = 'registry';
  readonly #bytes: Uint8Array;
  readonly #ranges = new Map<string, { start: number; end: number }>();
  /** Type name → file name. */
  readonly #homes = new Map<string, string>();
  readonly #files = new Map<string, DescFile>();
  readonly #types = new Map<string, Type>();

  /** @param bytes serialised FileDescriptorProtos @param contents a line a file: name, length, package, names */
  constructor(bytes: Uint8Array, contents: string) {
    this.#bytes = bytes;
    let start = 0;
    for (const line of contents.split('\n')) {
      const [name, length, packageName, ...types] = line.split(' ');
      const end = start + Number(length);
      this.#ranges.set(name, { start, end });
      const prefix = packageName === '' ? '' : `${packageName}.`;
      for (const type of types) this.#homes.set(prefix + type, name);
      start = end;
    }
  }

  *[Symbol.iterator](): IterableIterator<Type> {
    this.#buildAll();
    yield* this.#types.values();
  }

  get files(): Iterable<DescFile> {
    this.#buildAll();
    return this.#files.values();
  }

  /** The full names of all types, without building any. */
  names(): Iterable<string> {
    return this.#homes.keys();
  }

  getFile(name: string): DescFile | undefined {
    return this.#files.get(name) ?? (this.#ranges.has(name) ? this.#build(name) : undefined);
  }

  get(typeName: string): Type | undefined {
    const known = this.#types.get(typeName);
    if (known !== undefined) return known;
    const home = this.#homes.get(typeName);
    if (home === undefined) return undefined;
    this.#build(home);
    return this.#types.get(typeName);
  }

  getMessage(typeName: string): DescMessage | undefined {
    const type = this.get(typeName);
    return type?.kind === 'message' ? type : undefined;
  }

  getEnum(typeName: string): DescEnum | undefined {
    const type = this.get(typeName);
    return type?.kind === 'enum' ? type : undefined;
  }

  getService(typeName: string): DescService | undefined {
    const type = this.get(typeName);
    return type?.kind === 'service' ? type : undefined;
  }

  getExtension(typeName: string): DescExtension | undefined {
    const type = this.get(typeName);
    return type?.kind === 'extension' ? type : undefined;
  }

  getExtensionFor(extendee: DescMessage, no: number): DescExtension | undefined {
    // Only options are extended in the API; messages of configs never are.
    if (!extendee.typeName.startsWith('google.protobuf.')) return undefined;
    for (const type of this) {
      if (type.kind === 'extension' && type.number === no && type.extendee.typeName === extendee.typeName)
        return type;
    }
    return undefined;
  }

  #buildAll(): void {
    for (const name of this.#ranges.keys()) if (!this.#files.has(name)) this.#build(name);
  }

  #build(name: string): DescFile {
    const range = this.#ranges.get(name);
    if (range === undefined) throw new Error(`${name} is not in the registry: generate the API again`);
    const proto = fromBinary(FileDescriptorProtoSchema, this.#bytes.subarray(range.start, range.end));
    // Each dependency goes in without its own: protobuf-es would add those again for every file that imports it.
    const built = createFileRegistry(proto, (dependency) => ({
      ...(this.getFile(dependency) as DescFile),
      dependencies: [],
    }));
    const file = built.getFile(name) as DescFile;
    this.#files.set(name, file);
    for (const type of typesOf(file)) this.#types.set(type.typeName, type);
    return file;
  }
}

function* typesOf(holder: DescFile | DescMessage): Iterable<Type> {
  if (holder.kind === 'file') {
    yield* holder.enums;
    yield* holder.services;
    yield* holder.extensions;
    for (const message of holder.messages) yield* typesOf(message);
  } else {
    yield holder;
    yield* holder.nestedEnums;
    yield* holder.nestedExtensions;
    for (const message of holder.nestedMessages) yield* typesOf(message);
  }
}
