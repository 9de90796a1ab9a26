import { ConfigError } from './config-error.ts';
import type { Extension, ExtensionCategory } from './extension.ts';
import { plannedPackage } from './known-extensions.ts';

/** The extension of one category. */
export type ExtensionOf<C extends ExtensionCategory> = Extract<Extension, { category: C }>;

/**
 * The extensions of an assembly, as a value: nothing registers itself. Finds one by the type of its config, else by name.
 */
export class ExtensionRegistry {
  private readonly byName = new Map<string, Extension>();
  private readonly byType = new Map<string, Extension>();
  readonly extensions: readonly Extension[];

  /**
   * @throws ConfigError when two extensions of a category claim the same name or config type, or one is incomplete.
   */
  constructor(extensions: readonly Extension[]) {
    this.extensions = extensions;
    for (const extension of extensions) {
      if (
        typeof extension?.name !== 'string' ||
        extension.name === '' ||
        typeof extension.category !== 'string'
      ) {
        throw ConfigError.at('extensions', 'an entry is not an extension: it has no name or category');
      }
      this.claim(this.byName, `${extension.category}/${extension.name}`, extension);
      for (const type of [extension.config, ...(extension.configAliases ?? [])]) {
        if (type !== undefined) this.claim(this.byType, `${extension.category}/${type.typeName}`, extension);
      }
    }
  }

  /** By name; undefined when the assembly does not have it. */
  find<C extends ExtensionCategory>(category: C, name: string): ExtensionOf<C> | undefined {
    return this.byName.get(`${category}/${name}`) as ExtensionOf<C> | undefined;
  }

  /** By the type of its config message (full name, without `type.googleapis.com/`). */
  findByType<C extends ExtensionCategory>(category: C, typeName: string): ExtensionOf<C> | undefined {
    return this.byType.get(`${category}/${typeName}`) as ExtensionOf<C> | undefined;
  }

  /** All of one category. */
  ofCategory<C extends ExtensionCategory>(category: C): readonly ExtensionOf<C>[] {
    return this.extensions.filter(
      (extension): extension is ExtensionOf<C> => extension.category === category,
    );
  }

  /**
   * As Envoy finds it: by the type of `typed_config`, else by `name`.
   * @throws ConfigError that names what is missing and the package which would provide it.
   */
  resolve<C extends ExtensionCategory>(
    category: C,
    name: string,
    typeName: string | undefined,
    path: string,
  ): ExtensionOf<C> {
    const found =
      (typeName === undefined ? undefined : this.findByType(category, typeName)) ??
      // An empty message carries no type of its own: then the name decides, as in Envoy.
      (typeName === undefined || typeName === 'google.protobuf.Empty' || typeName === 'google.protobuf.Struct'
        ? this.find(category, name)
        : undefined);
    if (found !== undefined) return found;
    const what = typeName === undefined ? `"${name}"` : `"${name}" (${typeName})`;
    const planned = plannedPackage(category, name, typeName);
    const names = this.ofCategory(category).map((extension) => extension.name);
    throw ConfigError.at(
      path,
      planned !== undefined
        ? `extension ${what} is not part of this proxy: the package ${planned} would provide it; ${assembled(names)}`
        : `unknown extension ${what} of category ${category}; ${assembled(names)}`,
    );
  }

  private claim(map: Map<string, Extension>, key: string, extension: Extension): void {
    const other = map.get(key);
    if (other !== undefined && other !== extension) {
      throw ConfigError.at(
        'extensions',
        `two extensions claim ${key}: ${other.name} and ${extension.name}; list it once`,
      );
    }
    if (other === extension) throw ConfigError.at('extensions', `${extension.name} is listed twice`);
    map.set(key, extension);
  }
}

function assembled(names: readonly string[]): string {
  return names.length === 0 ? 'this assembly has none of its kind' : `this assembly has ${names.join(', ')}`;
}
