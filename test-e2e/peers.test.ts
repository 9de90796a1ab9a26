import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, rawClient, refusedPort } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from './support/programs.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const run = promisify(execFile);

const curl = findProgram('curl');
const nginx = findProgram('nginx');
const missing = [curl === undefined ? 'curl' : '', nginx === undefined ? 'nginx' : ''].filter(
  (name) => name !== '',
);
const skip = missing.length > 0 && process.env.CI !== 'true';
const why = skip ? ` (skipped: no ${missing.join(', ')}; see test-e2e/install-peers.sh)` : '';

describe.skipIf(skip)(`curl → proxy → nginx${why}`, () => {
  const content = randomBytes(3_000_000);
  let folder = '';
  let port = 0;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    expect(missing).toEqual([]);
    folder = mkdtempSync(join(tmpdir(), 'dragoman-nginx-'));
    port = await refusedPort();
    mkdirSync(join(folder, 'html'));
    writeFileSync(join(folder, 'html', 'file.bin'), content);
    writeFileSync(join(folder, 'html', 'page.html'), '<p>hello</p>\n'.repeat(1000));
    writeFileSync(join(folder, 'nginx.conf'), configuration(folder, port));
    const child = spawn(nginx as string, ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], {
      stdio: 'ignore',
    });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    stop = async () => {
      child.kill('SIGTERM');
      await ended;
    };
    await eventually(async () => {
      await using client = await rawClient({ port });
      return client.error === undefined;
    });
  });

  afterAll(async () => {
    await stop?.();
    rmSync(folder, { recursive: true, force: true });
  });

  const through = (
    body: (proxy: TestProxy, fetch: (...args: string[]) => Promise<Buffer>) => Promise<void>,
  ) =>
    withProxy({ upstream: port }, (proxy) =>
      body(proxy, async (path, ...args) => {
        const { stdout } = await run(
          curl as string,
          ['-sS', '--max-time', '10', ...args, `http://127.0.0.1:${proxy.port}${path}`],
          { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
        );
        return stdout;
      }),
    );
  const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

  it('a large file, whole and in part', async () => {
    await through(async (_, fetch) => {
      expect(sha(await fetch('/file.bin'))).toBe(sha(content));
      expect(sha(await fetch('/file.bin', '-r', '1000-1999999'))).toBe(
        sha(content.subarray(1000, 2_000_000)),
      );
      expect((await fetch('/file.bin', '-I')).toString()).toMatch(
        /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-length: 3000000\r\n/i,
      );
    });
  });

  it('gzip, chunked by nginx', async () => {
    await through(async (_, fetch) => {
      const page = await fetch('/page.html', '--compressed');
      expect(page.toString()).toBe('<p>hello</p>\n'.repeat(1000));
    });
  });

  it('304 and 404', async () => {
    await through(async (_, fetch) => {
      const head = (await fetch('/page.html', '-I')).toString();
      const etag = /^etag: (.*)\r$/im.exec(head)?.[1] ?? '';
      const status = ['-o', '/dev/null', '-w', '%{http_code}'];
      expect((await fetch('/page.html', ...status, '-H', `If-None-Match: ${etag}`)).toString()).toBe('304');
      expect((await fetch('/none', ...status)).toString()).toBe('404');
    });
  });

  it('an upload with Expect: 100-continue, with a length and chunked', async () => {
    const file = join(folder, 'upload');
    writeFileSync(file, content);
    await through(async (_, fetch) => {
      for (const [name, args] of [
        ['length', ['-H', 'Expect: 100-continue']],
        ['chunked', ['-H', 'Transfer-Encoding: chunked']],
      ] as const) {
        await fetch(`/put/${name}`, '-T', file, '--fail', ...args);
        expect(sha(readFileSync(join(folder, 'html', 'put', name)))).toBe(sha(content));
      }
    });
  });

  it('several requests on one connection', async () => {
    await through(async (proxy, fetch) => {
      const url = `http://127.0.0.1:${proxy.port}/page.html`;
      await fetch('/page.html', '-o', '/dev/null', url, '-o', '/dev/null', url, '-o', '/dev/null');
      expect(proxy.stat('http.test.downstream_rq_total')).toBe(3);
      expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
      expect(proxy.stat('cluster.upstream.upstream_cx_total')).toBe(1);
    });
  });

  it('HTTP/1.0 is refused with 426, as in Envoy', async () => {
    await through(async (_, fetch) => {
      expect((await fetch('/page.html', '-0', '-o', '/dev/null', '-w', '%{http_code}')).toString()).toBe(
        '426',
      );
    });
  });
});

/** One process in the foreground, all of whose files are in `folder`. */
function configuration(folder: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ');
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events {}
http {
  types { text/html html; }
  access_log off;
  ${temporary}
  gzip on;
  gzip_proxied any;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/html;
    location /put/ {
      dav_methods PUT;
      create_full_put_path on;
    }
  }
}
`;
}
