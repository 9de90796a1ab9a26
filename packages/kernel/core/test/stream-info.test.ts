import { describe, expect, it } from 'vitest';
import {
  Address,
  type ConnectionInfo,
  type HostDescription,
  ResponseFlag,
  type ResponseFlagName,
  responseFlagBit,
  responseFlagsLong,
  responseFlagsShort,
  StreamInfo,
} from '../src/index.ts';

const remote = Address.ip('192.0.2.1', 1234);
const connection: ConnectionInfo = {
  id: 1,
  localAddress: Address.ip('192.0.2.2', 80),
  directRemoteAddress: remote,
  remoteAddress: remote,
  requestedServerName: '',
  applicationProtocols: [],
  transportProtocol: '',
  tls: undefined,
  negotiatedProtocol: '',
  handshakeComplete: 0,
  startTime: 0,
  transportFailureReason: '',
  terminationDetails: '',
};

describe('response flags', () => {
  it('have one bit each, a short name and a long one', () => {
    const bits = Object.values(ResponseFlag);
    expect(new Set(bits).size).toBe(bits.length);
    const shorts = new Set<string>();
    for (const [name, bit] of Object.entries(ResponseFlag)) {
      const short = responseFlagsShort(bit);
      expect(responseFlagsLong(bit)).toBe(name === 'OverloadManager' ? 'OverloadManagerTerminated' : name);
      expect(responseFlagBit(short)).toBe(bit);
      expect(short).toMatch(/^[A-Z]{2,5}$/);
      shorts.add(short);
    }
    expect(shorts.size).toBe(bits.length);
  });

  it.each<[ResponseFlagName[], string, string]>([
    [[], '-', '-'],
    [
      ['UpstreamRetryLimitExceeded', 'UpstreamConnectionFailure'],
      'UF,URX',
      'UpstreamConnectionFailure,UpstreamRetryLimitExceeded',
    ],
    [
      ['NoClusterFound', 'DownstreamConnectionTermination'],
      'DC,NC',
      'DownstreamConnectionTermination,NoClusterFound',
    ],
  ])('%j print as %s', (names, short, long) => {
    const info = new StreamInfo(connection, 0, 0);
    for (const name of names) info.setResponseFlag(ResponseFlag[name]);
    expect(responseFlagsShort(info.responseFlags)).toBe(short);
    expect(responseFlagsLong(info.responseFlags)).toBe(long);
    for (const name of names) expect(info.hasResponseFlag(ResponseFlag[name])).toBe(true);
    expect(info.hasResponseFlag(ResponseFlag.OverloadManager)).toBe(false);
  });

  it('that do not exist have no bit', () => expect(responseFlagBit('XX')).toBeUndefined());
});

describe('stream info', () => {
  it('begins with the peer of its connection and no times but the start', () => {
    const info = new StreamInfo(connection, 5, 7);
    expect(info.remoteAddress).toBe(remote);
    expect([info.startTime, info.start, info.end, info.firstUpstreamTxByteSent]).toEqual([5, 7, 0, 0]);
    expect(info.responseFlags).toBe(0);
  });

  it('makes metadata and filter state when asked for, for itself', () => {
    const [one, two] = [new StreamInfo(connection, 0, 0), new StreamInfo(connection, 0, 0)];
    expect([one.hasDynamicMetadata, one.hasFilterState]).toEqual([false, false]);
    one.dynamicMetadata.set('filter', { key: 1 });
    one.filterState.set('key', { toText: () => 'text' });
    expect(one.dynamicMetadata.get('filter')).toEqual({ key: 1 });
    expect(one.filterState.get('key')?.toText?.()).toBe('text');
    expect([two.hasDynamicMetadata, two.hasFilterState]).toEqual([false, false]);
  });

  it('begin with the filter state of their connection, and keep theirs to themselves', () => {
    const shared = { toText: () => 'shared' };
    const state = new Map([['key', shared]]);
    const [one, other] = [0, 1].map(() => new StreamInfo({ ...connection, filterState: state }, 0, 0)) as [
      StreamInfo,
      StreamInfo,
    ];
    expect(one.hasFilterState).toBe(true);
    one.filterState.set('own', {});
    expect([...one.filterState.keys()]).toEqual(['key', 'own']);
    expect([...other.filterState.keys()]).toEqual(['key']);
    expect([...state.keys()]).toEqual(['key']);
    expect(one.afterRedirect().filterState.get('key')).toBe(shared);
    expect(new StreamInfo(connection, 0, 0).hasFilterState).toBe(false);
  });
  it('keeps the hosts and connections of earlier attempts', () => {
    const info = new StreamInfo(connection, 0, 0);
    info.startNextUpstreamAttempt();
    expect([info.earlierUpstreamHosts, info.earlierUpstreamConnectionIds]).toEqual([undefined, undefined]);
    const first = { hostname: 'a' } as HostDescription;
    info.upstreamHost = first;
    info.startNextUpstreamAttempt();
    info.upstreamConnectionId = 4;
    info.upstreamPoolReady = 9;
    info.startNextUpstreamAttempt();
    expect(info.earlierUpstreamHosts).toEqual([first]);
    expect(info.earlierUpstreamConnectionIds).toEqual([4]);
    expect([info.upstreamHost, info.upstreamConnectionId, info.upstreamPoolReady]).toEqual([undefined, 0, 0]);
  });
});
