import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiServerSchema, readLoose } from '@dragoman/api';
import { eventually, FakeClock, ManualApi, refusedPort, TestAuthority } from '@dragoman/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ApiClient, type ApiFailure, type ApiHeaders, BodyCollector, readApiServer } from '../src/index.ts';

let folder: string;
let clock: FakeClock;
const clients: ApiClient[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'api-client-'));
  clock = new FakeClock();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  rmSync(folder, { recursive: true });
});

function client(url: string, fields: Record<string, unknown> = {}): ApiClient {
  const settings = readApiServer(readLoose(ApiServerSchema, { url, ...fields }), undefined);
  const made = new ApiClient(settings, (token) => ['authorization', `Bearer ${token}`], clock);
  clients.push(made);
  return made;
}

/** What one request came to. */
class Outcome {
  readonly body = new BodyCollector(1000);
  headers: ApiHeaders | undefined = undefined;
  failure: ApiFailure | undefined = undefined;
  ended = false;

  onHead(headers: ApiHeaders): void {
    this.headers = headers;
  }

  onData(chunk: Buffer): string | undefined {
    return this.body.push(chunk);
  }

  onEnd(): void {
    this.ended = true;
  }

  onFailure(failure: ApiFailure): void {
    this.failure = failure;
  }

  async settled(): Promise<this> {
    await eventually(() => this.ended || this.failure !== undefined);
    return this;
  }
}

function ask(from: ApiClient, path = '/x?y=1'): Outcome {
  const outcome = new Outcome();
  from.get({ path, headMs: 1000, totalMs: 5000 }, outcome);
  return outcome;
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

it('reads an answer, with the token of now', async () => {
  await using api = await ManualApi.start();
  const tokenFile = file('token', 'one\n');
  const asker = client(api.url, { token_file: tokenFile });
  const first = ask(asker);
  const request = await api.next();
  expect([request.path, request.query('y'), request.header('authorization')]).toEqual([
    '/x',
    '1',
    'Bearer one',
  ]);
  request.answer({ a: 1 }, 200, { 'x-index': '7' });
  await first.settled();
  expect(first.body.json()).toEqual({ a: 1 });
  expect(first.headers?.['x-index']).toBe('7');
  file('token', 'second');
  ask(asker);
  const next = await api.next();
  expect(next.header('authorization')).toBe('Bearer second');
  expect(next.connection).toBe(request.connection);
  expect(clock.pendingTimers).toBe(1);
});

it.each([401, 403])(
  'reads the token again at once after %i, and repeats the request once',
  async (status) => {
    await using api = await ManualApi.start();
    const asker = client(api.url, { token_file: file('token', 'old') });
    const outcome = ask(asker);
    const refused = await api.next();
    file('token', 'new');
    refused.answer('expired', status);
    const again = await api.next();
    expect(again.header('authorization')).toBe('Bearer new');
    again.answer('still not', status);
    await outcome.settled();
    expect(outcome.failure).toMatchObject({
      status,
      reason: `answered ${status}: still not`,
      refused: false,
    });
  },
);

it('does not repeat a refused request with the same token', async () => {
  await using api = await ManualApi.start();
  const outcome = ask(client(api.url, { token_file: file('token', 'same') }));
  (await api.next()).answer({ kind: 'Status', message: 'Unauthorized' }, 401);
  await outcome.settled();
  expect(outcome.failure?.reason).toBe('answered 401: Unauthorized');
  expect(api.untaken).toBe(0);
});

it.each([
  [
    'a file that is not there',
    (): object => ({ token_file: join(folder, 'none') }),
    /cannot read ".*none": ENOENT/,
  ],
  ['an empty token', () => ({ token_file: file('t', ' \n') }), /"\/.*\/t" is empty$/],
  ['two lines in the token file', () => ({ token_file: file('t', 'a\r\nb: c') }), /more than a token/],
])('fails with %s, saying so', async (_, fields, reason) => {
  const outcome = await ask(client('http://127.0.0.1:1', fields() as Record<string, unknown>)).settled();
  expect(outcome.failure).toMatchObject({ status: 0, refused: false });
  expect(outcome.failure?.reason).toMatch(reason);
});

it('fails where nobody listens', async () => {
  const refused = await refusedPort();
  const outcome = await ask(client(`http://127.0.0.1:${refused}`)).settled();
  expect(outcome.failure?.reason).toMatch(/ECONNREFUSED/);
});

it('fails without an answer in time, and with one that trickles', async () => {
  await using api = await ManualApi.start();
  const asker = client(api.url);
  const silent = ask(asker);
  const held = await api.next();
  clock.advance(1000);
  expect(silent.failure?.reason).toBe('no answer in 1000 ms');
  await held.gone();

  const slow = ask(asker);
  const trickle = await api.next();
  trickle.begin();
  trickle.write('[');
  await eventually(() => slow.body.bytes().length > 0);
  clock.advance(4999);
  expect(slow.failure).toBeUndefined();
  clock.advance(1);
  expect(slow.failure).toMatchObject({ reason: 'the answer was not complete in 5000 ms', status: 0 });
  await trickle.gone();
  expect(clock.pendingTimers).toBe(0);
});

it('fails when an answer breaks off, or is refused by its reader', async () => {
  await using api = await ManualApi.start();
  const asker = client(api.url);
  const broken = ask(asker);
  const request = await api.next();
  request.begin({ 'content-length': '100' });
  request.write('half');
  request.cut();
  await broken.settled();
  expect(broken.failure).toMatchObject({ status: 0, refused: false });

  const large = ask(asker);
  const flood = await api.next();
  flood.answer('x'.repeat(1001));
  await large.settled();
  expect(large.failure).toMatchObject({ refused: true, reason: 'answered with more than 1000 bytes' });
});

it('says what a server answers, cut and cleaned, and when to come back', async () => {
  await using api = await ManualApi.start();
  const asker = client(api.url);
  const outcome = ask(asker);
  (await api.next()).answer(`busy\n\u001b[31m${'x'.repeat(60_000)}`, 429, { 'retry-after': '7' });
  await outcome.settled();
  expect(outcome.failure).toMatchObject({ status: 429, retryAfterMs: 7000 });
  expect(outcome.failure?.reason).toMatch(/^answered 429: busy\?\[31mx{190}$/);
  const moved = ask(asker);
  (await api.next()).answer('', 307, { location: `${api.url}/elsewhere` });
  await moved.settled();
  expect(moved.failure).toMatchObject({ status: 307, reason: 'answered 307' });
  expect(api.untaken).toBe(0);
});

it('does not wait for the end of an error without end', async () => {
  await using api = await ManualApi.start();
  const outcome = ask(client(api.url));
  (await api.next()).answer('x'.repeat(1_000_000), 500);
  await outcome.settled();
  expect(outcome.failure).toMatchObject({ status: 500, refused: false });
});

it('says nothing after cancel, wherever the request is', async () => {
  await using api = await ManualApi.start();
  const asker = client(api.url);
  const early = new Outcome();
  asker.get({ path: '/early', headMs: 1000, totalMs: 1000 }, early).cancel();
  const late = new Outcome();
  const call = asker.get({ path: '/late', headMs: 1000, totalMs: 1000 }, late);
  const request = await api.next();
  expect(request.path).toBe('/late');
  call.cancel();
  await request.gone();
  expect([early.failure, early.ended, late.failure, late.ended]).toEqual([
    undefined,
    false,
    undefined,
    false,
  ]);
  expect(clock.pendingTimers).toBe(0);
});

it('trusts the authorities that the file names now', async () => {
  const [old, fresh] = [TestAuthority.root(), TestAuthority.root()];
  const san = { san: [{ ip: '127.0.0.1' }] };
  await using api = await ManualApi.start(old.issue(san));
  const asker = client(api.url, { ca_file: file('ca.crt', old.pem) });
  const first = ask(asker);
  (await api.next()).answer('1');
  await first.settled();
  expect(first.ended).toBe(true);

  // The server's new certificate is of an authority that the file does not name yet.
  api.setCertificate(fresh.issue(san));
  asker.close();
  const stranger = await ask(asker).settled();
  expect(stranger.failure?.reason).toMatch(/certificate/);

  file('ca.crt', `${old.pem}${fresh.pem}`);
  const again = ask(asker);
  (await api.next()).answer('2');
  await again.settled();
  expect(again.ended).toBe(true);
});

it('refuses a server of another name, and a bundle that is none', async () => {
  const authority = TestAuthority.root();
  await using api = await ManualApi.start(authority.issue({ san: [{ dns: 'api.example' }] }));
  const caFile = file('ca.crt', authority.pem);
  const other = await ask(client(api.url, { ca_file: caFile })).settled();
  expect(other.failure?.reason).toMatch(/altnames|IP/i);
  const named = ask(client(api.url, { ca_file: caFile, server_name: 'api.example' }));
  (await api.next()).answer('1');
  await named.settled();
  expect(named.ended).toBe(true);
  const broken = await ask(client(api.url, { ca_file: file('bad.crt', 'no certificate') })).settled();
  expect(broken.failure?.status).toBe(0);
});
