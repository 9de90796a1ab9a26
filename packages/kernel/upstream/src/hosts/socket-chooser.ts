import type { Counter, StatsScope, UpstreamTransportSocket } from '@dragoman/core';
import { matchFor, type TransportSocketMatch, type TransportSockets } from '../config/transport-sockets.ts';
import type { UpstreamHost } from './host.ts';

/** Chooses the transport socket of each host by its metadata (`transport_socket_matches`), and counts what it chose. */
export class SocketChooser {
  private readonly matches: readonly TransportSocketMatch[];
  private readonly standard: UpstreamTransportSocket | undefined;
  private readonly counters = new Map<TransportSocketMatch | undefined, Counter>();

  /** @param scope `cluster.<name>` */
  private constructor({ matches, standard }: TransportSockets, scope: StatsScope) {
    this.matches = matches;
    this.standard = standard;
    const own = scope.scope('transport_socket_match');
    this.counters.set(undefined, own.counter('default.total_match_count'));
    for (const match of matches) this.counters.set(match, own.counter(`${match.name}.total_match_count`));
  }

  /** Undefined for a cluster with one transport socket for all. */
  static of(sockets: TransportSockets, scope: StatsScope): SocketChooser | undefined {
    return sockets.matches.length === 0 ? undefined : new SocketChooser(sockets, scope);
  }

  /** Only where its metadata is new. */
  choose(host: UpstreamHost): void {
    const { metadata } = host;
    if (host.socketChoice?.metadata === metadata) return;
    const match = matchFor(this.matches, metadata);
    this.counters.get(match)?.inc();
    host.socketChoice = { metadata, socket: match === undefined ? this.standard : match.socket };
  }
}
