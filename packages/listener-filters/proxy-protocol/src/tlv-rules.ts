import {
  type ProxyProtocol,
  ProxyProtocol_KeyValuePair_ValueFormat as ValueFormat,
  ProxyProtocol_TlvLocation as TlvLocation,
} from '@dragoman/api';
import type {
  FilterStateObject,
  ListenerFilterSocket,
  MetadataValue,
  ProxyProtocolTlv,
} from '@dragoman/core';
import { sanitizedText } from './tlvs.ts';

/** The filter state key of the TLVs that rules name, with `tlv_location: FILTER_STATE`. */
const TLV_STATE = 'envoy.network.proxy_protocol.tlv';

interface Rule {
  readonly namespace: string;
  readonly key: string;
  readonly hex: boolean;
}

/** `rules` and `tlv_location`: which TLVs become known to others, and where. */
export class TlvRules {
  private readonly rules: ReadonlyMap<number, Rule>;
  private readonly inFilterState: boolean;

  /** @param namespace of rules that name none */
  constructor(config: ProxyProtocol, namespace: string) {
    this.inFilterState = config.tlvLocation === TlvLocation.FILTER_STATE;
    // The last rule for a type holds.
    this.rules = new Map(
      config.rules.map(({ tlvType, onTlvPresent }) => [
        tlvType,
        {
          namespace: onTlvPresent?.metadataNamespace || namespace,
          key: onTlvPresent?.key ?? '',
          hex: onTlvPresent?.valueFormat === ValueFormat.HEX_STRING,
        },
      ]),
    );
  }

  /** Of several TLVs for one key the first counts. */
  apply(tlvs: readonly ProxyProtocolTlv[], socket: ListenerFilterSocket): void {
    if (this.rules.size === 0) return;
    let state: TlvState | undefined;
    for (const { type, value } of tlvs) {
      const rule = this.rules.get(type);
      if (rule === undefined) continue;
      const text = rule.hex ? value.toString('hex') : sanitizedText(value);
      if (this.inFilterState) {
        state ??= new TlvState();
        state.add(rule.key, text);
      } else addMetadata(socket, rule, text);
    }
    if (state === undefined) return;
    socket.info.filterState ??= new Map();
    socket.info.filterState.set(TLV_STATE, state);
  }
}

function addMetadata({ streamInfo }: ListenerFilterSocket, { namespace, key }: Rule, text: string): void {
  const fields = streamInfo.dynamicMetadata.get(namespace);
  if (fields === undefined) streamInfo.dynamicMetadata.set(namespace, { [key]: text });
  else if (!Object.hasOwn(fields, key)) fields[key] = text;
}

/** TLVs by the keys of their rules, for `%FILTER_STATE(envoy.network.proxy_protocol.tlv:FIELD:key)%`. */
class TlvState implements FilterStateObject {
  readonly lifeSpan = 'request';
  private readonly fields: Record<string, MetadataValue> = {};

  add(key: string, text: string): void {
    if (!Object.hasOwn(this.fields, key)) this.fields[key] = text;
  }

  toJson(): MetadataValue {
    return this.fields;
  }
}
