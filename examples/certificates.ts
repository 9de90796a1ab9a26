import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '@dragoman/testing';

/** A folder with the `certs/` that the examples name, all of one authority. Whoever makes it removes it. */
export function certificatesFolder(): { readonly folder: string; readonly authority: TestAuthority } {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-examples-'));
  const authority = TestAuthority.root();
  mkdirSync(join(folder, 'certs'));
  writeFileSync(join(folder, 'certs', 'ca.pem'), authority.pem);
  const leaves = {
    www: { san: [{ dns: 'www.example' }] },
    server: { san: [{ uri: 'spiffe://mesh.example/orders' }] },
    client: { subject: 'CN=shop', san: [{ uri: 'spiffe://mesh.example/shop' }] },
  };
  for (const [name, options] of Object.entries(leaves)) {
    const leaf = authority.issue(options);
    writeFileSync(join(folder, 'certs', `${name}.pem`), leaf.pem);
    writeFileSync(join(folder, 'certs', `${name}.key`), leaf.keyPem);
  }
  return { folder, authority };
}

/** The text of an example, its certificates in `folder`. */
export function exampleText(file: string, folder: string): string {
  return readFileSync(join(import.meta.dirname, file), 'utf8').replaceAll(
    'filename: certs/',
    `filename: ${folder}/certs/`,
  );
}
