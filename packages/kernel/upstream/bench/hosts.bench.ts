// node --conditions dragoman-source packages/kernel/upstream/bench/hosts.bench.ts

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { EndpointData, HostListUpdate } from '@dragoman/core';
import { applyHostList, EMPTY_SNAPSHOT } from '../src/hosts/host-sets.ts';
import type { HostListMessage } from '../src/sources/host-list-message.ts';
import { HostListPublisher } from '../src/sources/host-list-publisher.ts';
import { HostListReceiver } from '../src/sources/host-list-receiver.ts';
import { Membership } from '../src/sources/membership.ts';
import { endpoint } from '../test/support/clusters.ts';
import { MemoryStats } from '../test/support/memory-stats.ts';

const ROUNDS = 40;

/** Prints the median and the slowest of the rounds after the first ten, in microseconds. Only `run` is timed. */
function measure<Prepared>(
  name: string,
  prepare: (round: number) => Prepared,
  run: (it: Prepared) => void,
): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS + 10; round++) {
    const prepared = prepare(round);
    const start = performance.now();
    run(prepared);
    if (round >= 10) times.push((performance.now() - start) * 1000);
  }
  times.sort((one, other) => one - other);
  const [median, slowest] = [times[ROUNDS >> 1], times[ROUNDS - 1]].map((time) =>
    time.toFixed(0).padStart(6),
  );
  console.log(`  ${name.padEnd(46)}${median} µs, at most ${slowest}`);
}

/** As a control plane sends them: three zones, some metadata. Objects of their own for each `round`. */
function hosts(count: number, weightOf: (index: number) => number): HostListUpdate {
  const ofZone = (zone: number): EndpointData[] => {
    const endpoints: EndpointData[] = [];
    for (let index = zone; index < count; index += 3)
      endpoints.push(
        endpoint(`10.${zone}.${index >> 8}.${index & 255}:8080`, {
          hostname: `web-${index}.example.svc`,
          weight: weightOf(index),
          metadata: { 'envoy.lb': { version: `v${index & 3}`, canary: (index & 63) === 0 } },
        }),
      );
    return endpoints;
  };
  return {
    localities: [0, 1, 2].map((zone) => ({
      locality: { region: 'eu', zone: `zone-${zone}`, subZone: '' },
      weight: 0,
      priority: 0,
      endpoints: ofZone(zone),
    })),
  };
}

/** The list without `count` hosts of its first zone, evenly spread. */
function without(list: HostListUpdate, count: number): HostListUpdate {
  const [first, ...others] = list.localities;
  const step = Math.max(1, Math.floor(first.endpoints.length / count));
  return {
    localities: [
      {
        ...first,
        endpoints: first.endpoints.filter((_, index) => index % step !== 0 || index / step >= count),
      },
      ...others,
    ],
  };
}

function pair(before: HostListUpdate, after: HostListUpdate) {
  const publisher = new HostListPublisher();
  const receiver = new HostListReceiver();
  const list = receiver.receive(publisher.publish(before) as HostListMessage);
  return { publisher, receiver, list, after };
}

const ignore = () => {};

function size({ content }: HostListMessage): number {
  return typeof content === 'string' ? content.length : content.byteLength;
}

function cases(count: number): [name: string, before: HostListUpdate, after: () => HostListUpdate][] {
  const before = hosts(count, () => 1);
  const step = count / 10;
  return [
    ['10 weights changed', before, () => hosts(count, (index) => (index % step === 0 ? 2 : 1))],
    [
      '10 hosts removed',
      before,
      () =>
        without(
          hosts(count, () => 1),
          10,
        ),
    ],
    ['10 hosts added', without(before, 10), () => hosts(count, () => 1)],
    ['all weights changed', before, () => hosts(count, (index) => 2 + (index % 5))],
  ];
}

for (const count of [10, 1000, 10_000]) {
  const list = hosts(count, () => 1);
  const { port1, port2 } = new MessageChannel();
  const whole = new HostListPublisher().publish(list) as HostListMessage;
  console.log(`${count} hosts, whole list (${size(whole)} bytes)`);
  measure('for comparison: structuredClone', () => list, structuredClone);
  measure(
    'encode',
    () => new HostListPublisher(),
    (publisher) => publisher.publish(list),
  );
  measure(
    'post to one thread and take there',
    () => whole,
    (message) => {
      port1.postMessage(message);
      receiveMessageOnPort(port2);
    },
  );
  measure(
    'decode',
    () => new HostListReceiver(),
    (receiver) => receiver.receive(whole),
  );
  measure(
    'apply, all hosts new',
    () => new HostListReceiver().receive(whole),
    (update) => applyHostList('web', EMPTY_SNAPSHOT, update, 0, ignore),
  );
  const known = applyHostList('web', EMPTY_SNAPSHOT, list, 0, ignore).snapshot;
  measure(
    'apply, hosts known, all objects new',
    () => hosts(count, () => 1),
    (update) => applyHostList('web', known, update, 0, ignore),
  );
  port1.close();
  for (const [name, before, after] of cases(count)) {
    const sent = pair(before, after()).publisher;
    const message = sent.publish(after()) as HostListMessage;
    console.log(`${count} hosts, ${name} (${size(message)} bytes)`);
    measure(
      'encode',
      () => pair(before, after()),
      (it) => it.publisher.publish(it.after),
    );
    measure(
      'decode',
      () => pair(before, after()),
      (it) => it.receiver.receive(message),
    );
    measure(
      'apply',
      () => {
        const { receiver, list: first } = pair(before, after());
        return {
          snapshot: applyHostList('web', EMPTY_SNAPSHOT, first, 0, ignore).snapshot,
          update: receiver.receive(message),
        };
      },
      ({ snapshot, update }) => applyHostList('web', snapshot, update, 0, ignore),
    );
    measure(
      'count the members (main)',
      () => {
        const membership = new Membership(new MemoryStats());
        membership.record(before);
        return { membership, update: after() };
      },
      ({ membership, update }) => membership.record(update),
    );
  }
}
