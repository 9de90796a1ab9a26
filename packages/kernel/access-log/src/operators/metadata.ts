import { nearest } from '@dragoman/api';
import { ConfigError, type LogContext, type MetadataValue, type StreamInfo } from '@dragoman/core';
import { type MetadataMap, metadataValue, utf8Bytes } from '@dragoman/matching';
import {
  bytesOperator,
  type OperatorSpec,
  type OperatorTable,
  truncate,
  valueOperator,
} from '../operator.ts';

type Select = (info: StreamInfo) => MetadataMap | undefined;

const dynamic: Select = (info) => (info.hasDynamicMetadata ? info.dynamicMetadata : undefined);
const cluster: Select = (info) => info.upstreamClusterInfo?.metadata;
const upstreamHost: Select = (info) => info.upstreamHost?.metadata;

/** What `%METADATA(TYPE:…)%` may read. */
const TYPES: { readonly [type: string]: Select } = {
  DYNAMIC: dynamic,
  CLUSTER: cluster,
  ROUTE: (info) => info.route?.metadata,
  VIRTUAL_HOST: (info) => info.route?.virtualHostMetadata,
  UPSTREAM_HOST: upstreamHost,
  LISTENER: (info) => info.connection.filterChain?.listenerMetadata,
  LISTENER_FILTER_CHAIN: (info) => info.connection.filterChain?.metadata,
};

/** `%METADATA(TYPE:NAMESPACE:KEY*):Z%`. */
const typedMetadata: OperatorSpec = {
  parameters: 'required',
  length: true,
  compile(parameter, maxLength) {
    const [type = '', namespace = '', ...path] = parameter.split(':');
    if (!Object.hasOwn(TYPES, type)) {
      throw ConfigError.at('', `"${type}" is not a type of metadata`, nearest(type, Object.keys(TYPES)));
    }
    if (namespace === '') throw ConfigError.at('', `expected TYPE:NAMESPACE, got "${parameter}"`);
    const select = TYPES[type] as Select;
    return valueOperator(({ info }) => metadataValue(select(info), namespace, path), maxLength);
  },
};

/** `%…METADATA(NAMESPACE:KEY*):Z%`. */
function metadataSpec(select: Select): OperatorSpec {
  return {
    parameters: 'required',
    length: true,
    compile(parameter, maxLength) {
      const [namespace = '', ...path] = parameter.startsWith('[')
        ? jsonPath(parameter)
        : parameter.split(':');
      return valueOperator(({ info }) => metadataValue(select(info), namespace, path), maxLength);
    },
  };
}

/** The older form, of header values only in Envoy: `["namespace", "key", …]`, with one key at least. */
function jsonPath(parameter: string): string[] {
  let path: unknown;
  try {
    path = JSON.parse(parameter);
  } catch {
    path = undefined;
  }
  if (Array.isArray(path) && path.length > 1 && path.every((part) => typeof part === 'string')) return path;
  throw ConfigError.at('', `${parameter} is not a JSON list of a namespace and at least one key`);
}

/** One field of an object that filters share, when it is a word or a number. */
function fieldText(value: MetadataValue | undefined, name: string): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  if (!Object.hasOwn(value, name)) return undefined;
  const field = (value as { readonly [key: string]: MetadataValue })[name];
  return field === null || typeof field === 'object' ? undefined : String(field);
}

/** `%FILTER_STATE(KEY:F:FIELD?):Z%`. */
const filterState: OperatorSpec = {
  parameters: 'required',
  length: true,
  compile(parameter, maxLength) {
    const [key = '', form = 'TYPED', name = '', ...more] = parameter.split(':');
    if (key === '') throw ConfigError.at('', 'the key of a filter state must not be empty');
    if (form !== 'PLAIN' && form !== 'TYPED' && form !== 'FIELD') {
      throw ConfigError.at('', `"${form}" is not a form of filter state: use PLAIN, TYPED or FIELD`);
    }
    if ((form === 'FIELD') !== (name !== '') || more.length > 0) {
      throw ConfigError.at('', 'a field name goes with FIELD, and only with it');
    }
    const object = (info: StreamInfo) => (info.hasFilterState ? info.filterState.get(key) : undefined);
    if (form === 'TYPED') return valueOperator(({ info }) => object(info)?.toJson?.(), maxLength);
    const text = ({ info }: LogContext): string | undefined =>
      form === 'PLAIN' ? object(info)?.toText?.() : fieldText(object(info)?.toJson?.(), name);
    return bytesOperator((context) => {
      const value = text(context);
      return value === undefined ? undefined : truncate(utf8Bytes(value), maxLength);
    });
  },
};

/** Operators that read metadata and filter state. */
export const metadataOperators: OperatorTable = {
  METADATA: typedMetadata,
  DYNAMIC_METADATA: metadataSpec(dynamic),
  CLUSTER_METADATA: metadataSpec(cluster),
  UPSTREAM_METADATA: metadataSpec(upstreamHost),
  FILTER_STATE: filterState,
  // The older name of FILTER_STATE(key:PLAIN), of header values only in Envoy.
  PER_REQUEST_STATE: {
    parameters: 'required',
    length: false,
    compile: (parameter) =>
      bytesOperator(({ info }) => {
        const text = info.hasFilterState ? info.filterState.get(parameter)?.toText?.() : undefined;
        return text === undefined ? undefined : utf8Bytes(text);
      }),
  },
};
