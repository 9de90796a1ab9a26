import { CertificatesSchema, create, EchoSchema, toConfigJson } from '@dragoman/api';
import { type CertificateEntry, type CertificateGroup, defineNetworkFilter } from '@dragoman/core';
import { FakeClock, httpBootstrap, localAddress, MemoryStats, startProxy } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { certificateReport, daysUntilFirstExpiry } from '../src/certificate-report.ts';
import { createServerStats } from '../src/server-stats.ts';
import { EXTENSIONS } from './extensions.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 2, 12, 0, 0);
const NAME = 'server.days_until_first_cert_expiring';

const entry = (changes: Partial<CertificateEntry> = {}): CertificateEntry => ({
  path: '/etc/certs/server.pem',
  serialNumber: '0a1f',
  dnsSans: [],
  uriSans: [],
  ipSans: [],
  validFrom: NOW - 30 * DAY,
  expirationTime: NOW + 60 * DAY,
  ...changes,
});
const group = (ca: readonly CertificateEntry[], chain: readonly CertificateEntry[]): CertificateGroup => ({
  caCertificates: ca,
  certificateChain: chain,
});
const expiring = (ms: number) => entry({ expirationTime: NOW + ms });

describe('days until the first certificate expires', () => {
  it.each<[string, CertificateGroup[], number]>([
    ['none', [], 4_294_967_295],
    ['contexts without any', [group([], [])], 4_294_967_295],
    ['whole days', [group([], [expiring(2 * DAY - 1)])], 1],
    [
      'the first of all',
      [group([expiring(9 * DAY)], [expiring(7 * DAY)]), group([], [expiring(8 * DAY)])],
      7,
    ],
    ['an authority', [group([expiring(3 * DAY)], [expiring(7 * DAY)])], 3],
    ['less than a day', [group([], [expiring(1)])], 0],
    ['an expired one', [group([], [expiring(-400 * DAY), expiring(7 * DAY)])], 0],
  ])('%s', (_, groups, days) => {
    expect(daysUntilFirstExpiry(groups, NOW)).toBe(days);
  });

  it('are counted anew with each flush', () => {
    const clock = new FakeClock();
    const stats = new MemoryStats();
    const server = createServerStats(stats, clock, 1);
    expect(stats.value(NAME)).toBe(4_294_967_295);
    server.noteCertificates([group([], [entry({ expirationTime: clock.wallTime() + 5 * DAY })])]);
    expect(stats.value(NAME)).toBe(5);
    clock.advance(DAY + 1);
    expect(stats.value(NAME)).toBe(5);
    server.refresh(0, 0);
    expect(stats.value(NAME)).toBe(3);
    server.noteCertificates([]);
    expect(stats.value(NAME)).toBe(4_294_967_295);
  });
});

describe('/certs', () => {
  it('prints what Envoy prints', () => {
    const chain = entry({
      dnsSans: ['a.test', 'b.test'],
      uriSans: ['spiffe://a/b'],
      ipSans: ['10.0.0.1', '::1'],
      validFrom: NOW,
      expirationTime: NOW + 10.5 * DAY,
    });
    const ca = entry({ path: '<inline>', serialNumber: '01', expirationTime: NOW - 2 * DAY });
    const message = create(CertificatesSchema, certificateReport([group([ca], [chain]), group([], [])], NOW));
    expect(toConfigJson(message)).toEqual({
      certificates: [
        {
          ca_cert: [
            {
              path: '<inline>',
              serial_number: '01',
              valid_from: '2025-12-03T12:00:00Z',
              expiration_time: '2025-12-31T12:00:00Z',
            },
          ],
          cert_chain: [
            {
              path: '/etc/certs/server.pem',
              serial_number: '0a1f',
              subject_alt_names: [
                { dns: 'a.test' },
                { dns: 'b.test' },
                { uri: 'spiffe://a/b' },
                { ip_address: '10.0.0.1' },
                { ip_address: '::1' },
              ],
              days_until_expiration: '10',
              valid_from: '2026-01-02T12:00:00Z',
              expiration_time: '2026-01-13T00:00:00Z',
            },
          ],
        },
        {},
      ],
    });
  });

  it('shows, with the stat, what contexts have registered', async () => {
    const ours: CertificateGroup[] = [];
    // Stands in for a transport socket.
    const certified = defineNetworkFilter({
      name: 'certified',
      config: EchoSchema,
      terminal: true,
      create(_, { certificates }) {
        certificates.register(() =>
          group(
            [],
            ours.flatMap(({ certificateChain }) => certificateChain),
          ),
        );
        return () => ({});
      },
    });
    const listener = {
      name: 'certified',
      address: localAddress(),
      filter_chains: [{ filters: [{ name: 'certified' }] }],
    };
    const extensions = [...EXTENSIONS.filter(({ name }) => name !== 'envoy.filters.network.echo'), certified];
    const bootstrap = httpBootstrap({
      listener: { bind_to_port: false },
      listeners: [listener],
      bootstrap: { stats_flush_on_admin: true },
    });
    await using proxy = await startProxy(bootstrap, { extensions });
    const certs = async () => JSON.parse((await proxy.admin('/certs')).body.toString());
    expect(await certs()).toEqual({ certificates: [{ ca_cert: [], cert_chain: [] }] });
    expect(proxy.stat(NAME)).toBe(4_294_967_295);
    ours.push(group([], [entry({ expirationTime: Date.now() + 3 * DAY + 60_000 })]));
    expect(await certs()).toMatchObject({
      certificates: [
        { cert_chain: [{ serial_number: '0a1f', days_until_expiration: '3', subject_alt_names: [] }] },
      ],
    });
    await proxy.admin('/stats');
    await proxy.untilStat(NAME, 3);
  });
});
