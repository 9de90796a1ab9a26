#!/usr/bin/env node
// The `dragoman-harness` command. Plain JavaScript that even an old Node parses, so that it can say what it needs.
const MINIMUM_MAJOR = 24;
const MINIMUM_MINOR = 15;

const [major, minor] = process.versions.node.split('.').map(Number);

if (major > MINIMUM_MAJOR || (major === MINIMUM_MAJOR && minor >= MINIMUM_MINOR)) {
  import('../dist/main.js');
} else {
  process.stderr.write(
    `dragoman-harness needs Node.js ${MINIMUM_MAJOR}.${MINIMUM_MINOR} or newer; this is ${process.version} (${process.execPath})\n`,
  );
  process.exitCode = 1;
}
