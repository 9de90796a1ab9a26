import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the `openssl` command on files that are gone afterwards. */
export class OpenSsl {
  readonly #folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  #files = 0;

  file(content: string | Buffer): string {
    const path = join(this.#folder, `${this.#files++}.pem`);
    writeFileSync(path, content);
    return path;
  }

  /** A path in the folder, for what the command writes. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  read(path: string): Buffer {
    return readFileSync(path);
  }

  run(...args: readonly string[]): { readonly status: number | null; readonly output: string } {
    const { status, stdout, stderr } = spawnSync('openssl', [...args], { encoding: 'utf8' });
    return { status, output: stdout + stderr };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
