import {
  type ProxyProtocolConfig,
  type ProxyProtocolPassThroughTLVs,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as MatchType,
  type TlvEntry,
} from '@dragoman/api';
import {
  atPath,
  type Clock,
  ConfigError,
  type ConnectionInfo,
  type FactoryContext,
  type ProxyProtocolTlv,
  StreamInfo,
  type TextFormatter,
} from '@dragoman/core';
import { MAX_TLV_VALUE_BYTES } from '@dragoman/proxy-protocol';

/** Envoy's texts. */
const BOTH = "Invalid TLV configuration: only one of 'value' or 'format_string' may be set.";
const NEITHER = "Invalid TLV configuration: one of 'value' or 'format_string' must be set.";

interface Formatted {
  readonly type: number;
  readonly formatter: TextFormatter;
}

/** The TLVs of the headers of one cluster. */
export class TlvSource {
  private readonly fixed: readonly ProxyProtocolTlv[];
  private readonly formatted: readonly Formatted[];
  /** Types that the config gives: those of the client are left out. */
  private readonly own: ReadonlySet<number>;
  private readonly passesThrough: (type: number) => boolean;
  private readonly clock: Clock;

  /** @throws ConfigError, paths below the `ProxyProtocolConfig` */
  constructor({ addedTlvs, passThroughTlvs }: ProxyProtocolConfig, context: FactoryContext) {
    const compiled = addedTlvs.map((entry, i) =>
      atPath(`added_tlvs[${i}]`, () => compileEntry(entry, context)),
    );
    this.fixed = compiled.filter((tlv) => 'value' in tlv);
    this.formatted = compiled.filter((tlv) => 'formatter' in tlv);
    this.own = new Set(compiled.map(({ type }) => type));
    this.passesThrough = passThrough(passThroughTlvs);
    this.clock = context.clock;
  }

  /**
   * In Envoy's order: those of the config, formats last, then the client's.
   * @param client as the header of the client had them
   */
  tlvsFor(info: ConnectionInfo, client: readonly ProxyProtocolTlv[]): readonly ProxyProtocolTlv[] {
    const passed = client.filter(({ type }) => this.passesThrough(type) && !this.own.has(type));
    if (this.formatted.length === 0) return passed.length === 0 ? this.fixed : [...this.fixed, ...passed];
    return [...this.fixed, ...this.format(info), ...passed];
  }

  private format(info: ConnectionInfo): ProxyProtocolTlv[] {
    const context = {
      info: new StreamInfo(info, info.startTime, this.clock.now()),
      request: undefined,
      response: undefined,
      responseTrailers: undefined,
      type: 'NotSet',
    } as const;
    return this.formatted.map(({ type, formatter }) => ({
      type,
      value: Buffer.from(formatter.format(context), 'latin1'),
    }));
  }
}

function compileEntry(
  { type, value, formatString }: TlvEntry,
  { formatters }: FactoryContext,
): ProxyProtocolTlv | Formatted {
  if (value.length > 0 && formatString !== undefined) throw ConfigError.at('', BOTH);
  if (formatString !== undefined) {
    const formatter = atPath('format_string', () => formatters.fromConfig(formatString, { raw: true }));
    return { type, formatter };
  }
  if (value.length === 0) throw ConfigError.at('', NEITHER);
  if (value.length > MAX_TLV_VALUE_BYTES)
    throw ConfigError.at(
      'value',
      `is too long for any header: it has ${value.length} bytes, at most ${MAX_TLV_VALUE_BYTES} fit`,
    );
  return { type, value: Buffer.from(value) };
}

function passThrough(config: ProxyProtocolPassThroughTLVs | undefined): (type: number) => boolean {
  if (config === undefined) return () => false;
  if (config.matchType === MatchType.INCLUDE_ALL) return () => true;
  const types = new Set(config.tlvType);
  return (type) => types.has(type);
}
