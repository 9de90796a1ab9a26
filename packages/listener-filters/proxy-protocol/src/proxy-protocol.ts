import {
  type ProxyProtocol,
  ProxyProtocolConfig_Version as Version,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as MatchType,
  ProxyProtocolSchema,
} from '@dragoman/api';
import {
  ConfigError,
  defineListenerFilter,
  type ListenerFilter,
  type ListenerFilterSocket,
  PROXY_PROTOCOL_STATE,
  ProxyProtocolState,
  type ProxyProtocolTlv,
} from '@dragoman/core';
import type { Header } from './header.ts';
import { FIRST_BYTES, HeaderReader, type Versions } from './header-reader.ts';
import { createStats, type ProxyProtocolStats } from './stats.ts';
import { TlvRules } from './tlv-rules.ts';
import { readTlvs } from './tlvs.ts';

const NAME = 'envoy.filters.listener.proxy_protocol';

interface Settings {
  readonly allowMissing: boolean;
  readonly allowed: Versions;
  readonly rules: TlvRules;
  readonly passesThrough: (type: number) => boolean;
  readonly stats: ProxyProtocolStats;
}

/** `envoy.filters.listener.proxy_protocol`. */
export const proxyProtocol = defineListenerFilter({
  name: NAME,
  config: ProxyProtocolSchema,
  create(config, { stats }) {
    const { disallowedVersions } = config;
    const allowed = {
      v1: !disallowedVersions.includes(Version.V1),
      v2: !disallowedVersions.includes(Version.V2),
    };
    if (!allowed.v1 && !allowed.v2)
      throw ConfigError.at(
        'disallowed_versions',
        'disallows both versions, so that no connection could be taken; leave one of them out',
      );
    const settings: Settings = {
      allowMissing: config.allowRequestsWithoutProxyProtocol,
      allowed,
      rules: new TlvRules(config, NAME),
      passesThrough: passThrough(config),
      stats: createStats(stats, config.statPrefix),
    };
    return () => new ProxyProtocolFilter(settings);
  },
});

function passThrough({ passThroughTlvs }: ProxyProtocol): (type: number) => boolean {
  if (passThroughTlvs === undefined) return () => false;
  if (passThroughTlvs.matchType === MatchType.INCLUDE_ALL) return () => true;
  const types = new Set(passThroughTlvs.tlvType);
  return (type) => types.has(type);
}

class ProxyProtocolFilter implements ListenerFilter {
  maxReadBytes = FIRST_BYTES;
  consumed = 0;
  private readonly settings: Settings;
  private readonly reader = new HeaderReader();

  constructor(settings: Settings) {
    this.settings = settings;
  }

  onAccept(): 'wait' {
    return 'wait';
  }

  onData(socket: ListenerFilterSocket): 'continue' | 'wait' | 'close' {
    const { allowMissing, allowed, stats } = this.settings;
    const progress = this.reader.read(socket.peeked, allowMissing ? allowed : undefined);
    switch (progress.state) {
      case 'more':
        // A version that is not wanted is not waited for.
        if (progress.version === 2 && !allowed.v2) return this.refuse(2);
        this.maxReadBytes = Math.max(this.maxReadBytes, progress.bytes);
        return 'wait';
      case 'not-found':
      case 'endless':
        if (allowMissing && progress.state === 'not-found') {
          stats.notFoundAllowed.inc();
          return 'continue';
        }
        stats.notFoundDisallowed.inc();
        stats.error.inc();
        return 'close';
      case 'error':
        return this.isAllowed(progress.version) ? this.fail(progress.version) : this.refuse(progress.version);
      case 'header':
        return this.isAllowed(progress.header.version)
          ? this.take(progress.header, socket)
          : this.refuse(progress.header.version);
    }
  }

  private take(header: Header, socket: ListenerFilterSocket): 'continue' | 'close' {
    const { rules, passesThrough, stats } = this.settings;
    const { version, addresses, length, tlvsAt } = header;
    const tlvs = readTlvs(socket.peeked.subarray(tlvsAt, length));
    if (tlvs === undefined) return this.fail(version);
    const { info } = socket;
    if (addresses !== undefined) {
      info.remoteAddress = addresses.remote;
      info.localAddressRestored ||= !addresses.local.equals(info.localAddress);
      info.localAddress = addresses.local;
    }
    rules.apply(tlvs, socket);
    info.filterState ??= new Map();
    info.filterState.set(
      PROXY_PROTOCOL_STATE,
      new ProxyProtocolState(version, info.remoteAddress, info.localAddress, kept(tlvs, passesThrough)),
    );
    this.consumed = length;
    stats.versions[version].found.inc();
    return 'continue';
  }

  private isAllowed(version: 1 | 2): boolean {
    const { allowed } = this.settings;
    return version === 1 ? allowed.v1 : allowed.v2;
  }

  private fail(version: 1 | 2): 'close' {
    const { stats } = this.settings;
    stats.versions[version].error.inc();
    stats.error.inc();
    return 'close';
  }

  /** A header of a version that is disallowed. */
  private refuse(version: 1 | 2): 'close' {
    const { found, disallowed } = this.settings.stats.versions[version];
    found.inc();
    disallowed.inc();
    return 'close';
  }
}

/** Copies: the bytes are the connection's. */
function kept(
  tlvs: readonly ProxyProtocolTlv[],
  passesThrough: (type: number) => boolean,
): ProxyProtocolTlv[] {
  return tlvs
    .filter(({ type }) => passesThrough(type))
    .map(({ type, value }) => ({ type, value: Buffer.from(value) }));
}
