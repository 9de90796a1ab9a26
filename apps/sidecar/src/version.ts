import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version of this package, from its `package.json`: beside `src`, `dist` or the bundle, wherever this runs. */
export function packageVersion(from: string = import.meta.dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
      if (name === 'dragoman' && version !== undefined) return version;
    }
    if (folder === dirname(folder)) return 'unknown';
  }
}

/** In the shape of Envoy's, `version/details`: `0.1.0/node-26.10.0`. */
export function fullVersion(): string {
  return `${packageVersion()}/node-${process.versions.node}`;
}
