import { type Host, type LoadReport, Trailers } from '@dragoman/core';
import { testHosts } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { Rig, type RigOptions } from './rig.ts';

const HEADER = 'endpoint-load-metrics';

/** Hosts whose reports are kept: `<address>: <eps>`. */
function listening(reports: string[], count = 2): Host[] {
  const hosts = testHosts(count);
  for (const host of hosts)
    host.onLoadReport = ({ eps }: LoadReport) => void reports.push(`${host.address.text}: ${eps}`);
  return hosts;
}

function trailersOf(fields: Readonly<Record<string, string>>): Trailers {
  const trailers = new Trailers();
  for (const [name, value] of Object.entries(fields)) trailers.append(name, value);
  return trailers;
}

const report = (eps: number): Record<string, string> => ({ [HEADER]: `TEXT eps=${eps}` });

test.each<[string, Record<string, string>, Record<string, string> | undefined, string[]]>([
  ['headers', report(1), undefined, ['1']],
  ['trailers', {}, report(2), ['2']],
  ['headers, before trailers', report(1), report(2), ['1']],
  ['trailers, where that of the headers is wrong', { [HEADER]: 'TEXT eps=x' }, report(2), ['2']],
  ['the binary header', { [`${HEADER}-bin`]: 'OQAAAAAAAAhA' }, undefined, ['3']],
  ['neither', {}, {}, []],
])('a report is taken from %s', (_, headers, trailers, found) => {
  const reports: string[] = [];
  const rig = new Rig({ hosts: listening(reports) }).request();
  rig.last.ready().respond(headers, trailers === undefined);
  if (trailers !== undefined) rig.last.decoder.onTrailers(trailersOf(trailers));
  expect(reports).toEqual(found.map((eps) => `10.0.0.1:80: ${eps}`));
  expect(rig.stream.ended).toBe(true);
});

test('the client sees what the host has sent', () => {
  const rig = new Rig({ hosts: listening([]) }).request();
  rig.last.ready().respond(report(1), false);
  rig.last.decoder.onTrailers(trailersOf(report(2)));
  expect(rig.stream.responseHeaders?.get(HEADER)).toBe('TEXT eps=1');
  expect(rig.stream.trailersSent?.get(HEADER)).toBe('TEXT eps=2');
});

test('each answer counts, also one that is not passed on', () => {
  const reports: string[] = [];
  const options: RigOptions = {
    action: { retry_policy: { retry_on: '5xx', num_retries: 1 } },
    hosts: listening(reports),
  };
  const rig = new Rig(options).request();
  rig.last.ready().respond({ ':status': '503', ...report(1) });
  rig.backOff().ready().respond(report(2));
  expect(reports).toEqual(['10.0.0.1:80: 1', '10.0.0.2:80: 2']);
});

test('a 1xx does not count', () => {
  const reports: string[] = [];
  const rig = new Rig({ hosts: listening(reports) }).request();
  rig.last.ready();
  rig.last.inform(103);
  rig.last.respond(report(1));
  expect(reports).toEqual(['10.0.0.1:80: 1']);
});

test('nothing is read where nobody listens', () => {
  const rig = new Rig().request();
  rig.last.ready().respond(report(1), false);
  const trailers = trailersOf(report(1));
  let read = 0;
  trailers.get = () => {
    read++;
    return undefined;
  };
  rig.last.decoder.onTrailers(trailers);
  expect(read).toBe(0);
  expect(rig.stream.ended).toBe(true);
});
