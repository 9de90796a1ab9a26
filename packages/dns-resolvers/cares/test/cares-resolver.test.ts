import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Counter, Gauge, StatsScope } from '@dragoman/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CaresResolver, type CaresResolverOptions } from '../src/index.ts';
import { type Answer, DnsServer, type Question } from './dns-server.ts';

/** Counts under `dns.cares`, by name. */
class Counts {
  readonly values: Record<string, number> = {};
  readonly scope = {
    prefix: 'dns.cares',
    counter: (name: string) => this.stat(name) as Counter,
    gauge: (name: string) => this.stat(name) as Gauge,
  } as unknown as StatsScope;

  private stat(name: string): object {
    this.values[name] = 0;
    return {
      inc: () => {
        this.values[name]++;
      },
      dec: () => {
        this.values[name]--;
      },
    };
  }
}

let folder: string;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dragoman-dns-'));
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await rm(folder, { recursive: true });
});

interface Setup {
  readonly answer?: (question: Question) => Answer;
  readonly hosts?: string;
  readonly resolvConf?: string;
  readonly options?: Partial<CaresResolverOptions>;
}

async function setUp({ answer = () => 'nxdomain', hosts = '', resolvConf = '', options = {} }: Setup) {
  const server = await DnsServer.start(answer);
  const counts = new Counts();
  await writeFile(join(folder, 'hosts'), hosts);
  await writeFile(join(folder, 'resolv.conf'), resolvConf);
  const resolver = new CaresResolver(
    {
      servers: [server.address],
      serversAsFallback: false,
      useSearchList: true,
      filterUnroutable: false,
      timeoutMs: 300,
      tries: 1,
      hostsPath: join(folder, 'hosts'),
      resolvConfPath: join(folder, 'resolv.conf'),
      ...options,
    },
    counts.scope,
  );
  open.push(resolver, server);
  return { server, counts, resolver };
}

const ok = (...ips: string[]) => ({ ok: true, addresses: ips.map((ip) => ({ ip, ttlSeconds: 60 })) });
const always = (answer: Answer) => () => answer;

describe('answers', () => {
  it('come with their TTL', async () => {
    const { resolver, counts } = await setUp({ answer: always({ ips: ['10.0.0.1', '10.0.0.2'], ttl: 7 }) });
    expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual({
      ok: true,
      addresses: [
        { ip: '10.0.0.1', ttlSeconds: 7 },
        { ip: '10.0.0.2', ttlSeconds: 7 },
      ],
    });
    expect(counts.values).toEqual({
      resolve_total: 1,
      pending_resolutions: 0,
      not_found: 0,
      timeout: 0,
      get_addr_failure: 0,
    });
  });

  it('are empty for a name that does not exist', async () => {
    const { resolver, counts } = await setUp({ answer: always('nxdomain') });
    expect(await resolver.resolve('gone.example', 'V4_ONLY')).toEqual({ ok: true, addresses: [] });
    expect(counts.values['not_found']).toBe(1);
  });

  it('are empty for a name without such records', async () => {
    const { resolver, counts } = await setUp({ answer: always({ ips: ['10.0.0.1'] }) });
    expect(await resolver.resolve('web.example', 'V6_ONLY')).toEqual({ ok: true, addresses: [] });
    expect(counts.values['not_found']).toBe(1);
  });

  it.each<[Answer, string]>([
    ['servfail', 'a DNS server failed (SERVFAIL)'],
    ['refused', 'a DNS server refused the query'],
  ])('of %s are failures', async (answer, reason) => {
    const { resolver, counts } = await setUp({ answer: always(answer) });
    expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual({ ok: false, reason });
    expect(counts.values['get_addr_failure']).toBe(1);
  });

  it.each<Answer>(['garbage', 'half', 'silence'])('of %s never throw', async (answer) => {
    const { resolver, counts } = await setUp({ answer: always(answer) });
    expect((await resolver.resolve('web.example', 'V4_ONLY')).ok).toBe(false);
    expect(counts.values['timeout'] + counts.values['get_addr_failure']).toBe(1);
    expect(counts.values['pending_resolutions']).toBe(0);
  });

  it('that are truncated are asked for again over TCP', async () => {
    const ips = Array.from({ length: 40 }, (_, index) => `10.0.1.${index}`);
    const { resolver, server } = await setUp({ answer: always({ truncated: true, ips }) });
    const result = await resolver.resolve('many.example', 'V4_ONLY');
    expect(result.ok && result.addresses.map(({ ip }) => ip).sort()).toEqual([...ips].sort());
    expect(server.overTcp).toHaveLength(1);
  });
});

describe('families', () => {
  const both: Answer = { ips: ['10.0.0.1', '2001::1'] };
  it.each<[Parameters<CaresResolver['resolve']>[1], Answer, string[], string[]]>([
    ['V4_ONLY', both, ['10.0.0.1'], ['A']],
    ['V6_ONLY', both, ['2001::1'], ['AAAA']],
    ['AUTO', both, ['2001::1'], ['AAAA']],
    ['AUTO', { ips: ['10.0.0.1'] }, ['10.0.0.1'], ['A', 'AAAA']],
    ['V4_PREFERRED', both, ['10.0.0.1'], ['A']],
    ['V4_PREFERRED', { ips: ['2001::1'] }, ['2001::1'], ['A', 'AAAA']],
    ['ALL', both, ['10.0.0.1', '2001::1'], ['A', 'AAAA']],
    ['ALL', { ips: ['10.0.0.1'] }, ['10.0.0.1'], ['A', 'AAAA']],
  ])('%s', async (family, answer, ips, types) => {
    const { resolver, server } = await setUp({ answer: always(answer) });
    expect(await resolver.resolve('web.example', family)).toEqual(ok(...ips));
    expect(server.questions.map(({ type }) => type).sort()).toEqual(types);
  });

  it('fall back when the preferred one fails, and fail when neither has addresses', async () => {
    const split = (v4: Answer) => (question: Question) => (question.type === 'A' ? v4 : 'servfail');
    const good = await setUp({ answer: split({ ips: ['10.0.0.1'] }) });
    expect(await good.resolver.resolve('web.example', 'AUTO')).toEqual(ok('10.0.0.1'));
    const bad = await setUp({ answer: split('nxdomain') });
    expect((await bad.resolver.resolve('web.example', 'AUTO')).ok).toBe(false);
  });
});

describe('names', () => {
  const forever = (...ips: string[]) => ({
    ok: true,
    addresses: ips.map((ip) => ({ ip, ttlSeconds: Number.POSITIVE_INFINITY })),
  });

  it('that are addresses give themselves', async () => {
    const { resolver, server } = await setUp({});
    expect(await resolver.resolve('10.9.8.7', 'V6_ONLY')).toEqual(forever('10.9.8.7'));
    expect(await resolver.resolve('::1', 'AUTO')).toEqual(forever('::1'));
    expect(server.questions).toEqual([]);
  });

  it('come from /etc/hosts first', async () => {
    const hosts = '127.0.0.1 localhost # me\n10.0.0.9\tWeb.Example alias\n2001::9 web.example\nnonsense x\n';
    const { resolver, server } = await setUp({ hosts });
    expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual(forever('10.0.0.9'));
    expect(await resolver.resolve('WEB.example.', 'AUTO')).toEqual(forever('2001::9'));
    expect(await resolver.resolve('alias', 'ALL')).toEqual(forever('10.0.0.9'));
    expect(await resolver.resolve('localhost', 'AUTO')).toEqual(forever('127.0.0.1'));
    expect(server.questions).toEqual([]);
    expect(await resolver.resolve('alias', 'V6_ONLY')).toEqual({ ok: true, addresses: [] });
  });

  it('follow a changed hosts file', async () => {
    const { resolver } = await setUp({ hosts: '10.0.0.9 web.example' });
    expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual(forever('10.0.0.9'));
    await writeFile(join(folder, 'hosts'), '10.0.0.10 web.example\n');
    expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual(forever('10.0.0.10'));
  });

  it('know localhost without a hosts file', async () => {
    const { resolver } = await setUp({ options: { hostsPath: join(folder, 'absent') } });
    expect(await resolver.resolve('localhost', 'V4_ONLY')).toEqual(forever('127.0.0.1'));
    expect(await resolver.resolve('a.localhost', 'V6_ONLY')).toEqual(forever('::1'));
  });

  it.each([
    '',
    'a b',
    'a..b',
    '-a.example',
    'a\u0000.example',
    `${'a'.repeat(64)}.example`,
    'é.example',
    '.',
  ])('that are none are refused without asking: %j', async (name) => {
    const { resolver, server } = await setUp({});
    expect(await resolver.resolve(name, 'AUTO')).toEqual({ ok: false, reason: 'not a DNS name' });
    expect(server.questions).toEqual([]);
  });
});

describe('the search list', () => {
  const known =
    (name: string) =>
    (question: Question): Answer =>
      question.name === name ? { ips: ['10.0.0.1'] } : 'nxdomain';
  const resolvConf = 'search a.example b.example\noptions ndots:2\n';

  it('comes first for a name with few dots', async () => {
    const { resolver, server } = await setUp({ answer: known('web.ns.b.example'), resolvConf });
    expect(await resolver.resolve('web.ns', 'V4_ONLY')).toEqual(ok('10.0.0.1'));
    expect(server.asked).toEqual(['A web.ns.a.example', 'A web.ns.b.example']);
  });

  it('comes last for a name with many dots', async () => {
    const { resolver, server } = await setUp({ answer: known('x.y.z.a.example'), resolvConf });
    expect(await resolver.resolve('x.y.z', 'V4_ONLY')).toEqual(ok('10.0.0.1'));
    expect(server.asked).toEqual(['A x.y.z', 'A x.y.z.a.example']);
  });

  it('is not used for a complete name, nor with no_default_search_domain', async () => {
    const complete = await setUp({ resolvConf });
    await complete.resolver.resolve('web.', 'V4_ONLY');
    expect(complete.server.asked).toEqual(['A web']);
    const off = await setUp({ resolvConf, options: { useSearchList: false } });
    await off.resolver.resolve('web', 'V4_ONLY');
    expect(off.server.asked).toEqual(['A web']);
  });

  it('ends with servers that do not answer: the wait is not multiplied by the list', async () => {
    const { resolver, server } = await setUp({ answer: always('silence'), resolvConf });
    expect((await resolver.resolve('web', 'V4_ONLY')).ok).toBe(false);
    expect(new Set(server.asked)).toEqual(new Set(['A web.a.example']));
  });

  it('does not turn a failure into "no such name"', async () => {
    const answer = (question: Question): Answer => (question.name === 'web' ? 'nxdomain' : 'servfail');
    const { resolver } = await setUp({ answer, resolvConf });
    expect((await resolver.resolve('web', 'V4_ONLY')).ok).toBe(false);
  });
});

it.each(['V4_ONLY', 'AUTO'] as const)('gives up what is under way when it is closed (%s)', async (family) => {
  let asked: () => void = () => {};
  const question = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { resolver, counts } = await setUp({
    answer: () => {
      asked();
      return 'silence';
    },
    options: { timeoutMs: 5_000 },
  });
  const result = resolver.resolve('web.example', family);
  await question;
  resolver.close();
  expect(await result).toEqual({ ok: false, reason: 'cancelled' });
  expect(counts.values['resolve_total']).toBe(1);
  expect(await resolver.resolve('web.example', 'V4_ONLY')).toEqual({ ok: false, reason: 'cancelled' });
});
