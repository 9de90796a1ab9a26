/**
 * Installs dependencies when they are missing or stand behind the lockfile. Only node built-ins here.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './runtime.mjs';

const STAMP = '.dragoman-stamp';

/** What an install depends on: the lockfile, the platform and the architecture. */
export function lockStamp(root) {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${process.platform}-${process.arch} ${hash}\n`;
}

/**
 * @param {string} root repository root
 * @returns {string | undefined} why an install is needed, in words; undefined when it is not
 */
export function installReason(root) {
  const modules = join(root, 'node_modules');
  if (!existsSync(modules)) return 'node_modules is missing';
  const stamp = join(modules, STAMP);
  if (existsSync(stamp)) {
    return readFileSync(stamp, 'utf8') === lockStamp(root) ? undefined : 'package-lock.json has changed';
  }
  // Somebody ran npm by hand: npm leaves its own copy of the lock, compare what it says about each package.
  return sameAsInstalled(root) ? undefined : 'node_modules does not match package-lock.json';
}

/** Whether npm's record of the installed tree has the versions of the lockfile (optional packages may be absent). */
function sameAsInstalled(root) {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    const found = installed[path];
    if (found === undefined) {
      if (entry.optional !== true && entry.peer !== true && entry.devOptional !== true) return false;
    } else if (found.version !== entry.version) {
      return false;
    }
  }
  return true;
}

/** Records that node_modules matches the lockfile. */
export function writeStamp(root) {
  const modules = join(root, 'node_modules');
  if (existsSync(modules)) writeFileSync(join(modules, STAMP), lockStamp(root));
}

/**
 * @param {string} root repository root
 * @param {(line: string) => void} log
 * @returns {Promise<boolean>} whether anything was installed
 * @throws {Error} when npm fails
 */
export async function ensureInstalled(root, log) {
  const reason = installReason(root);
  if (reason === undefined) {
    if (!existsSync(join(root, 'node_modules', STAMP))) writeStamp(root);
    return false;
  }
  log(`installing dependencies: ${reason} (npm ci; no install scripts are run)`);
  const { command, args } = npm();
  // engine-strict off: npm itself may run on an older Node than the one that is being installed.
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--engine-strict=false'];
  const code = await run(command, [...args, ...options], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, npm_config_engine_strict: 'false' },
  });
  if (code !== 0) throw new Error(`npm ci failed with exit code ${code}; run it by hand to see why`);
  writeStamp(root);
  return true;
}

/** The npm that called us, else the one beside the running Node, else the one on the PATH. */
function npm() {
  const fromNpm = process.env.npm_execpath;
  if (fromNpm !== undefined && /npm-cli\.[cm]?js$/.test(fromNpm) && existsSync(fromNpm)) {
    return { command: process.execPath, args: [fromNpm] };
  }
  const beside = join(dirname(process.execPath), process.platform === 'win32' ? 'npm.cmd' : 'npm');
  return { command: existsSync(beside) ? beside : 'npm', args: [] };
}
