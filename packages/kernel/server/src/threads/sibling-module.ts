/**
 * The module beside the one that asks, for a thread to load: under the ending that the asking one has. In the sources it is
 * TypeScript, and JavaScript in what was made of them; a bundler that knows `new URL('./x.ts', import.meta.url)` has renamed it already.
 *
 *     siblingModule(new URL('./extensions.ts', import.meta.url), import.meta.url)
 */
export function siblingModule(module: URL, from: string): URL {
  return from.endsWith('.ts') ? module : new URL(module.href.replace(/\.ts$/, '.js'));
}
