/** `npm start`: the sidecar on the quick-start config, with the three services behind it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitStatus } from './runtime.mjs';

const CONFIG = 'examples/quickstart.yaml';
const SERVICES = ['fast', 'slow', 'flaky'];
const POLL_MS = 25;
/** How long children may take to end before they are killed. */
const END_MS = 10_000;
/** How often it is looked whether npm is still there. */
const PARENT_MS = 250;

/**
 * Runs until SIGINT or SIGTERM (then 0), or until the sidecar or a service ends by itself (then its code, at least 1). Started by npm it
 * ends with it too: npm passes a signal on to the shell between the two only.
 *
 * @param {string} root repository root
 * @param {string} node Node.js to run it with
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} args passed on to the sidecar
 * @param {(text: string) => void} print
 * @returns {Promise<number>} exit code
 */
export function quickstart(root, node, env, args, print) {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
  const addressFile = join(folder, 'admin-address');
  // Each child leads a group of its own: Ctrl-C in a terminal reaches this process only, and the sidecar gets one signal.
  const options = { cwd: root, env, detached: true };
  const services = SERVICES.map((name) =>
    spawn(node, [join('examples', 'quickstart', `${name}.mjs`)], {
      ...options,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  const bin = join('apps', 'sidecar', 'bin', 'dragoman.js');
  const sidecar = spawn(
    node,
    ['--disable-sigusr1', bin, '-c', CONFIG, '--admin-address-path', addressFile, ...args],
    { ...options, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const children = [sidecar, ...services];

  return new Promise((resolve) => {
    let code;
    let poll;
    let patience;
    let alive = children.length;
    const parent = process.ppid;
    const byNpm = env.npm_lifecycle_event !== undefined;
    const watch = byNpm ? setInterval(() => process.ppid !== parent && end(0), PARENT_MS) : undefined;
    const end = (status) => {
      if (code !== undefined) return;
      code = status;
      clearTimeout(poll);
      clearInterval(watch);
      for (const child of children) child.kill('SIGTERM');
      patience = setTimeout(() => {
        for (const child of children) child.kill('SIGKILL');
      }, END_MS);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(0));
    for (const child of children) {
      child.once('error', (error) => {
        print(`cannot run ${node}: ${error.message}\n`);
      });
      child.once('close', (status, signal) => {
        alive--;
        end(exitStatus(status, signal) || 1);
        if (alive > 0) return;
        clearTimeout(patience);
        rmSync(folder, { recursive: true, force: true });
        resolve(code);
      });
    }
    const look = () => {
      poll = setTimeout(async () => {
        const admin = readAddress(addressFile);
        if (admin !== undefined && (await isReady(admin))) {
          if (code === undefined) print(whatToTry(admin));
        } else if (code === undefined) look();
      }, POLL_MS);
    };
    look();
  });
}

/** The admin address that the sidecar wrote once it was bound; undefined until then. */
function readAddress(file) {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether `GET /ready` answers 200. */
function isReady(address) {
  return new Promise((resolve) => {
    const request = get(`http://${address}/ready`, { timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

const whatToTry = (admin) => `
Dragoman is serving ${CONFIG}. Try:

  curl -i http://127.0.0.1:10000/         the fast service
  curl -i http://127.0.0.1:10000/slow     takes about 800 ms
  curl -i http://127.0.0.1:10000/flaky    every third answer is a 503

  http://${admin}/                   the admin interface
  curl http://${admin}/stats?usedonly
  curl http://${admin}/clusters

Ctrl-C ends it.

`;
