/**
 * Completes package-lock.json. `npm ci` refuses a lockfile that lacks optional packages of other platforms, and `npm install`
 * leaves out those that the registry at hand does not carry. Such an entry needs no more than what follows from its name:
 * npm fetches it only on a platform that it fits.
 */

const SYSTEMS = new Set([
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]);

/**
 * @param {any} lock parsed package-lock.json; entries are added to it
 * @returns {string[]} paths of what was missing
 * @throws {Error} for one whose platform cannot be told from its name
 */
export function completeLock(lock) {
  const { packages } = lock;
  const added = [];
  for (const [path, entry] of Object.entries(packages)) {
    const optional = Object.entries(entry.optionalDependencies ?? {});
    for (const [name, version] of optional) {
      // Ranges are resolved by npm; packages for platforms are always pinned.
      if (!/^\d+\.\d+\.\d+/.test(version) || lookup(packages, path, name) !== undefined) continue;
      const sibling = optional
        .map(([other]) => lookup(packages, path, other))
        .find((found) => found !== undefined);
      if (sibling === undefined) continue;
      const place = `${sibling.slice(0, sibling.lastIndexOf('node_modules/'))}node_modules/${name}`;
      packages[place] = platformEntry(name, version, packages[sibling]);
      added.push(place);
    }
  }
  if (added.length > 0)
    lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  return added;
}

/** Where Node would find `name` from `path`, among the entries. */
function lookup(packages, path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/'))).replace(/\/$/, '')) {
    const candidate = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (packages[candidate] !== undefined) return candidate;
    if (at === '') return undefined;
  }
}

/** `@nx/nx-linux-arm64-musl` → os linux, cpu arm64, libc musl. */
function platformEntry(name, version, sibling) {
  const words = name.slice(name.lastIndexOf('/') + 1).split('-');
  const at = words.findIndex((word) => SYSTEMS.has(word));
  const [system, processor, ...rest] = words.slice(at);
  if (at < 0 || processor === undefined)
    throw new Error(`${name}: its platform cannot be told from its name`);
  const musl = rest.some((word) => word.startsWith('musl'));
  const glibc = system === 'linux' && rest.some((word) => word.startsWith('gnu'));
  return {
    version,
    cpu: [processor.startsWith('armv') ? 'arm' : processor],
    ...(sibling.dev ? { dev: true } : {}),
    ...(sibling.devOptional ? { devOptional: true } : {}),
    ...(musl ? { libc: ['musl'] } : glibc ? { libc: ['glibc'] } : {}),
    ...(sibling.license === undefined ? {} : { license: sibling.license }),
    optional: true,
    os: [system],
    ...(sibling.engines === undefined ? {} : { engines: sibling.engines }),
  };
}
