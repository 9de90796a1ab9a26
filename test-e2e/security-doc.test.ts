import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const DOC = new URL('../docs/security.md', import.meta.url);

it('docs/security.md links to tests that exist', () => {
  const links = [...readFileSync(DOC, 'utf8').matchAll(/\]\((\.\.\/[^)]+)\)/g)].map(([, link]) => link);
  expect(links.length).toBeGreaterThan(40);
  expect(links.filter((link) => !existsSync(new URL(link, DOC)))).toEqual([]);
});
