import type { EndpointData, HostListUpdate } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostListMessage } from '../src/sources/host-list-message.ts';
import { HostListPublisher } from '../src/sources/host-list-publisher.ts';
import { HostListReceiver } from '../src/sources/host-list-receiver.ts';
import { endpoint, hostList, localityOf } from './support/clusters.ts';
import { histories } from './support/host-lists.ts';

/** As it arrives at another thread. */
const posted = (message: HostListMessage | undefined): HostListMessage => {
  if (message === undefined) throw new Error('nothing to post');
  return structuredClone(message);
};

/** A publisher and a receiver that has heard of each list. */
function channel(...lists: HostListUpdate[]) {
  const publisher = new HostListPublisher();
  const receiver = new HostListReceiver();
  const send = (list: HostListUpdate) => receiver.receive(posted(publisher.publish(list)));
  return { publisher, receiver, send, received: lists.map(send) };
}

const many = (count: number, over: (index: number) => Partial<EndpointData> = () => ({})) =>
  Array.from({ length: count }, (_, index) => endpoint(`10.0.${index >> 8}.${index & 255}:80`, over(index)));

describe('whatever lists follow each other', () => {
  it('the receiver has the very list that was published, also when it comes late', () => {
    fc.assert(
      fc.property(histories, fc.nat(8), (lists, joins) => {
        const publisher = new HostListPublisher();
        const early = new HostListReceiver();
        const late = new HostListReceiver();
        let last: HostListUpdate | undefined;
        for (const [index, list] of lists.entries()) {
          // Sources may make all objects anew.
          const message = publisher.publish(index % 2 === 0 ? list : structuredClone(list));
          if (message !== undefined) last = early.receive(posted(message));
          expect(last).toEqual(list);
          if (index === joins) expect(late.receive(posted(publisher.full()))).toEqual(list);
          else if (index > joins && message !== undefined)
            expect(late.receive(posted(message))).toEqual(list);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('an endpoint that did not change stays the same object', () => {
    fc.assert(
      fc.property(histories, (lists) => {
        const { send } = channel();
        let before = new Map<string, EndpointData>();
        for (const list of lists) {
          const publishable = structuredClone(list);
          const now = byUniqueIdentity(sendChanged(send, publishable) ?? { localities: [] });
          for (const [identity, one] of now) {
            const old = before.get(identity);
            if (old !== undefined && same(old, one)) expect(one).toBe(old);
          }
          if (now.size > 0) before = now;
        }
      }),
    );
  });
});

function sendChanged(send: (list: HostListUpdate) => HostListUpdate, list: HostListUpdate) {
  try {
    return send(list);
  } catch (error) {
    if (error instanceof Error && error.message === 'nothing to post') return undefined;
    throw error;
  }
}

function same(one: EndpointData, other: EndpointData): boolean {
  try {
    expect(one).toEqual(other);
    return true;
  } catch {
    return false;
  }
}

/** Those that the list has once. */
function byUniqueIdentity(list: HostListUpdate): Map<string, EndpointData> {
  const all = list.localities.flatMap((group) => group.endpoints);
  const groups = Map.groupBy(all, (one) => one.id ?? one.address);
  return new Map([...groups].filter(([, ones]) => ones.length === 1).map(([key, [one]]) => [key, one]));
}

describe('a publisher', () => {
  it('has nothing for a new worker before the first list, then the last one', () => {
    const publisher = new HostListPublisher();
    expect(publisher.full()).toBeUndefined();
    publisher.publish(hostList('10.0.0.1:80'));
    publisher.publish(hostList('10.0.0.2:80'));
    expect(publisher.full()).toEqual({ version: 2, content: expect.any(String) });
    expect(new HostListReceiver().receive(posted(publisher.full()))).toEqual(hostList('10.0.0.2:80'));
  });

  it('writes the whole list once for workers that begin together', () => {
    const publisher = new HostListPublisher();
    const first = publisher.publish(hostList('10.0.0.1:80'));
    expect(publisher.full()).toBe(first);
    publisher.publish(hostList('10.0.0.2:80'));
    expect(publisher.full()).not.toBe(first);
    expect(publisher.full()).toBe(publisher.full());
  });

  it('tells nobody of a list that is equal to the one before', () => {
    const publisher = new HostListPublisher();
    const list = () => hostList(endpoint('10.0.0.1:80', { metadata: { 'envoy.lb': { canary: true } } }));
    expect(publisher.publish(list())).toMatchObject({ version: 1 });
    expect(publisher.publish(list())).toBeUndefined();
    expect(publisher.publish({ ...list(), overprovisioningFactor: 140 })).toMatchObject({
      version: 2,
      base: 1,
    });
  });

  it('tells of an id that only repeats the address', () => {
    const lists = [hostList('10.0.0.1:80'), hostList(endpoint('10.0.0.1:80', { id: '10.0.0.1:80' }))];
    expect(channel(...lists).received).toEqual(lists);
  });

  it('announces a cluster without hosts', () => {
    const { received } = channel(hostList(), { localities: [] }, hostList('10.0.0.1:80'), hostList());
    expect(received).toEqual([hostList(), { localities: [] }, hostList('10.0.0.1:80'), hostList()]);
  });

  it('writes little for a little change of a long list', () => {
    const length = (after: EndpointData[]) => {
      const publisher = new HostListPublisher();
      publisher.publish(hostList(...many(1000)));
      return posted(publisher.publish(hostList(...after))).content.toString().length;
    };
    const list = many(1000);
    expect(length(many(1000, (index) => ({ weight: index === 500 ? 2 : 1 })))).toBeLessThan(200);
    expect(length(list.toSpliced(500, 1))).toBeLessThan(200);
    expect(length([...list.slice(1), list[0]])).toBeLessThan(200);
    expect(length(list.toSpliced(3, 0, endpoint('10.9.9.9:80')))).toBeLessThan(300);
    expect(length(many(1000, () => ({ health: 'draining' })))).toBeLessThan(200);
  });

  it('shares the memory of a long list between threads, whatever characters are in it', () => {
    const list = hostList(
      ...many(1000, (index) => ({ hostname: `${index} é 日本 \ud83d\ude00 \ud800 \\u0100` })),
    );
    const message = new HostListPublisher().publish(list);
    expect(message?.content).toBeInstanceOf(SharedArrayBuffer);
    expect(new HostListReceiver().receive(posted(message))).toEqual(list);
  });

  it('copes with very many listings of one address', () => {
    const twins = (weight: number) =>
      hostList(...Array.from({ length: 20_000 }, () => endpoint('10.0.0.1:80', { weight })));
    const mixed = hostList(
      endpoint('10.0.0.2:80'),
      ...twins(2).localities[0].endpoints,
      endpoint('10.0.0.3:80'),
    );
    const { received } = channel(twins(1), mixed, twins(1));
    expect(received).toEqual([twins(1), mixed, twins(1)]);
  });
});

describe('a receiver', () => {
  it('refuses a change of another list than it has, and keeps what it has', () => {
    const publisher = new HostListPublisher();
    const messages = ['1', '2', '3'].map((last) => posted(publisher.publish(hostList(`10.0.0.${last}:80`))));
    const receiver = new HostListReceiver();
    expect(() => receiver.receive(messages[1])).toThrow(
      'host list version 2 is a change of version 1, but here is none: ask for the whole list',
    );
    receiver.receive(messages[0]);
    expect(() => receiver.receive(messages[2])).toThrow('but here is version 1: ask for the whole list');
    expect(receiver.receive(messages[1])).toEqual(hostList('10.0.0.2:80'));
    expect(() => receiver.receive(messages[1])).toThrow('but here is version 2');
  });

  it('takes a whole list whatever it has', () => {
    const { receiver, send } = channel(hostList('10.0.0.1:80'), hostList('10.0.0.2:80'));
    const other = new HostListPublisher();
    expect(receiver.receive(posted(other.publish(hostList('10.0.0.9:80'))))).toEqual(hostList('10.0.0.9:80'));
    expect(() => send(hostList('10.0.0.3:80'))).toThrow('ask for the whole list');
  });

  it('keeps unchanged localities, and what stayed of changed ones', () => {
    const a = localityOf(0, '10.0.0.1:80', '10.0.0.2:80');
    const b = { ...localityOf(1, '10.0.0.3:80'), locality: { region: 'eu', zone: 'b', subZone: '' } };
    const {
      received: [first, second, third],
    } = channel(
      { localities: [a, b] },
      { localities: [b, { ...a, weight: 3 }] },
      { localities: [b, { ...a, weight: 3, endpoints: [...a.endpoints, endpoint('10.0.0.4:80')] }] },
    );
    expect(second.localities[0]).toBe(first.localities[1]);
    expect(second.localities[1].endpoints).toBe(first.localities[0].endpoints);
    expect(second.localities[1].locality).toBe(first.localities[0].locality);
    expect(third.localities[0]).toBe(second.localities[0]);
    expect(third.localities[1].endpoints[1]).toBe(second.localities[1].endpoints[1]);
  });

  it('keeps the metadata of an endpoint of which something else has changed', () => {
    const metadata = { 'envoy.lb': { version: 1 } };
    const {
      received: [first, second],
    } = channel(
      hostList(endpoint('10.0.0.1:80', { metadata })),
      hostList(endpoint('10.0.0.1:80', { metadata: structuredClone(metadata), weight: 2 })),
    );
    expect(second.localities[0].endpoints[0].metadata).toBe(first.localities[0].endpoints[0].metadata);
  });

  it('shares metadata that many endpoints have', () => {
    const { received } = channel(hostList(...many(10, () => ({ metadata: { 'envoy.lb': { version: 1 } } }))));
    const [first, ...others] = received[0].localities[0].endpoints.map((one) => one.metadata);
    for (const other of others) expect(other).toBe(first);
  });
});
