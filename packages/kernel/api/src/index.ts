export {
  clone,
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescService,
  equals,
  fromBinary,
  fromJson,
  getOption,
  hasOption,
  isFieldSet,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type MessageShape,
  type Registry,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
export {
  type Any,
  AnySchema,
  anyIs,
  anyPack,
  anyUnpack,
  type BoolValue,
  BoolValueSchema,
  type BytesValue,
  BytesValueSchema,
  type DoubleValue,
  DoubleValueSchema,
  type Duration,
  DurationSchema,
  type Empty,
  EmptySchema,
  type FieldMask,
  FieldMaskSchema,
  type FloatValue,
  FloatValueSchema,
  type Int32Value,
  Int32ValueSchema,
  type Int64Value,
  Int64ValueSchema,
  type ListValue,
  ListValueSchema,
  type StringValue,
  StringValueSchema,
  type Struct,
  StructSchema,
  type Timestamp,
  TimestampSchema,
  timestampDate,
  timestampFromDate,
  timestampFromMs,
  timestampMs,
  timestampNow,
  type UInt32Value,
  UInt32ValueSchema,
  type UInt64Value,
  UInt64ValueSchema,
  type Value,
  ValueSchema,
} from '@bufbuild/protobuf/wkt';
export { anyTypeName, readLoose, unpackAny, unpackAnyAs } from './any.ts';
export { bootstrapVisitors, checkBootstrap, visitRouteClusters } from './check-bootstrap.ts';
export { type CheckOptions, ConstraintChecker, checkConstraints, type Visitor } from './constraints.ts';
export { readDataSource } from './data-source.ts';
export { DiscoveredExtension, type DiscoveredExtensionOptions } from './discovered-extension.ts';
export { durationFromMs, durationMs } from './duration.ts';
export * from './gen/index.ts';
export {
  type ConfigFormat,
  type ConfigSource,
  type LoadedConfig,
  type LoadOptions,
  loadConfig,
  locate,
  locateError,
} from './load-config.ts';
export { mergeBootstrap, mergeMessages } from './merge.ts';
export { addressMessage } from './address-message.ts';
export { nearest } from './nearest.ts';
export { formatPath, type PathStep, parsePath } from './path.ts';
export { messageType, registry, typeNameOf, typeUrl } from './registry.ts';
export { type ResolvedExtension, resolveExtension } from './resolve-extension.ts';
export { nameOfResource } from './resource-name.ts';
export { toConfigJson } from './to-config-json.ts';
export { toYaml } from './to-yaml.ts';
