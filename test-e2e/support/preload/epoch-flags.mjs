// Preloaded into a command under test (`NODE_OPTIONS=--import=…`): an epoch has flags of its own, the words of the file
// `flags.txt` in its folder, in place of those of the same name.
import { existsSync, readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (isMainThread && process.argv.includes('--restart-epoch') && existsSync('flags.txt')) {
  for (const flag of readFileSync('flags.txt', 'utf8').split(' ')) {
    const [name, value] = flag.split('=');
    const at = process.argv.indexOf(name);
    if (at < 0) process.argv.push(name, value);
    else process.argv[at + 1] = value;
  }
}
