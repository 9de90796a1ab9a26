import { readFileSync } from 'node:fs';
import type { DescMethod, FileRegistry } from '@bufbuild/protobuf';
import {
  type GrpcJsonTranscoder,
  GrpcJsonTranscoder_PrintOptionsSchema,
  GrpcJsonTranscoder_RequestValidationOptionsSchema,
  GrpcJsonTranscoderSchema,
  messageType,
  nearest,
  GrpcJsonTranscoder_UrlUnescapeSpec as Unescape,
} from '@dragoman/api';
import { atPath, ConfigError, ProblemCollector, refuseUnsupported } from '@dragoman/core';
import type { LineOptions } from './bound-fields.ts';
import { type Call, compileCall } from './call.ts';
import { readDescriptors } from './descriptors.ts';
import type { StatusPrinter } from './grpc-outcome.ts';
import { type HttpBinding, httpBindings } from './http-rule.ts';
import { JsonConverter } from './json-convert.ts';
import { JsonPrinter } from './json-printer.ts';
import { PathMatcher, type Registration } from './path-matcher.ts';
import { parseTemplate } from './path-template.ts';
import type { RequestOptions } from './request-message.ts';
import { JSON_ARRAY, NEWLINES, SERVER_SENT_EVENTS, type StreamFraming } from './response-body.ts';
import type { UnescapeSpec } from './unescape.ts';

/** A config, compiled: what all requests share. */
export interface Transcoder {
  readonly calls: PathMatcher<Call>;
  readonly line: LineOptions;
  readonly request: RequestOptions;
  readonly printer: JsonPrinter;
  readonly framing: StreamFraming;
  /** `convert_grpc_status`; undefined: it is not converted. */
  readonly status: StatusPrinter | undefined;
  /** `match_incoming_request_route`: the route found before the request was changed stays. */
  readonly keepsRoute: boolean;
  readonly rejectUnknownMethod: boolean;
  readonly rejectUnknownQueryParameters: boolean;
  /** Bytes; undefined: the stream's buffer limit. */
  readonly maxRequestBytes: number | undefined;
  readonly maxResponseBytes: number | undefined;
}

type Warn = (path: string, message: string) => void;

const SUPPORTED: ReadonlySet<string> = new Set([
  'proto_descriptor',
  'proto_descriptor_bin',
  'services',
  'print_options',
  'match_incoming_request_route',
  'ignored_query_parameters',
  'auto_mapping',
  'ignore_unknown_query_parameters',
  'convert_grpc_status',
  'url_unescape_spec',
  'query_param_unescape_plus',
  'match_unregistered_custom_verb',
  'request_validation_options',
  'case_insensitive_enum_parsing',
  'max_request_body_size',
  'max_response_body_size',
  'capture_unknown_query_parameters',
]);
const PRINT_OPTIONS: ReadonlySet<string> = new Set([
  'add_whitespace',
  'always_print_primitive_fields',
  'always_print_enums_as_ints',
  'preserve_proto_field_names',
  'stream_newline_delimited',
  'stream_sse_style_delimited',
]);
const VALIDATION_OPTIONS: ReadonlySet<string> = new Set([
  'reject_unknown_method',
  'reject_unknown_query_parameters',
  'reject_binding_body_field_collisions',
]);

/**
 * Reads the descriptors and compiles every binding of the services.
 * @returns undefined without services: the filter does nothing then
 * @throws ConfigError with paths below the filter's config
 */
export function parseConfig(config: GrpcJsonTranscoder, warn: Warn): Transcoder | undefined {
  const { printOptions: print, requestValidationOptions: validation } = config;
  refuseUnsupported(config, GrpcJsonTranscoderSchema, SUPPORTED);
  if (print !== undefined)
    refuseUnsupported(print, GrpcJsonTranscoder_PrintOptionsSchema, PRINT_OPTIONS, 'print_options');
  if (validation !== undefined) {
    const path = 'request_validation_options';
    refuseUnsupported(
      validation,
      GrpcJsonTranscoder_RequestValidationOptionsSchema,
      VALIDATION_OPTIONS,
      path,
    );
  }
  if (config.services.length === 0) return undefined;
  const types = descriptorsOf(config);
  const printer = new JsonPrinter(types, {
    addWhitespace: print?.addWhitespace === true,
    alwaysPrintPrimitiveFields: print?.alwaysPrintPrimitiveFields === true,
    alwaysPrintEnumsAsInts: print?.alwaysPrintEnumsAsInts === true,
    preserveProtoFieldNames: print?.preserveProtoFieldNames === true,
  });
  const registrations = bindServices(config, types);
  const converter = new JsonConverter(types, config.caseInsensitiveEnumParsing);
  for (const { target } of registrations) converter.prepare(target.input);
  const calls = new PathMatcher(registrations, config.matchUnregisteredCustomVerb);
  warnOf(calls, registrations, warn);
  return {
    calls,
    line: lineOptions(config),
    request: { converter, refuseCollisions: validation?.rejectBindingBodyFieldCollisions === true },
    printer,
    framing: framingOf(config),
    status: config.convertGrpcStatus ? { printer, type: statusType(types) } : undefined,
    keepsRoute: config.matchIncomingRequestRoute,
    rejectUnknownMethod: validation?.rejectUnknownMethod === true,
    rejectUnknownQueryParameters: validation?.rejectUnknownQueryParameters === true,
    maxRequestBytes: config.maxRequestBodySize,
    maxResponseBytes: config.maxResponseBodySize,
  };
}

function descriptorsOf({ descriptorSet }: GrpcJsonTranscoder): FileRegistry {
  switch (descriptorSet.case) {
    case 'protoDescriptor':
      return atPath('proto_descriptor', () => readDescriptors(readFile(descriptorSet.value)));
    case 'protoDescriptorBin':
      return atPath('proto_descriptor_bin', () => readDescriptors(descriptorSet.value));
    default:
      throw ConfigError.at('', 'needs one of proto_descriptor, proto_descriptor_bin');
  }
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`cannot read "${path}": ${(error as Error).message}`);
  }
}

/** Every binding of every method; all that is wrong with any of them is reported. */
function bindServices(config: GrpcJsonTranscoder, types: FileRegistry): Registration<Call>[] {
  const problems = new ProblemCollector();
  const registrations: Registration<Call>[] = [];
  for (const [index, name] of config.services.entries()) {
    const path = `services[${index}]`;
    const service = types.getService(name);
    if (service === undefined) {
      problems.add(path, `the descriptor set has no service "${name}"`, nearest(name, serviceNames(types)));
      continue;
    }
    for (const method of service.methods)
      problems.try(path, () => registrations.push(...bindMethod(method, config.autoMapping)));
  }
  problems.throwIfAny();
  return registrations;
}

function* serviceNames(types: FileRegistry): Iterable<string> {
  for (const file of types.files) for (const { typeName } of file.services) yield typeName;
}

function bindMethod(method: DescMethod, autoMapping: boolean): Registration<Call>[] {
  const { parent, name } = method;
  try {
    const bindings = httpBindings(method) ?? (autoMapping ? [ownBinding(method)] : []);
    return bindings.map((binding) => {
      const template = parseTemplate(binding.template);
      return { method: binding.method, template, target: compileCall(method, binding, template) };
    });
  } catch (error) {
    throw new Error(`method ${parent.typeName}.${name} cannot be bound: ${(error as Error).message}`);
  }
}

/** `auto_mapping`: as gRPC calls it, with JSON. */
function ownBinding({ parent, name }: DescMethod): HttpBinding {
  return { method: 'POST', template: `/${parent.typeName}/${name}`, body: '*', responseBody: '' };
}

/** What Envoy takes, though no request is ever transcoded by it. */
function warnOf(calls: PathMatcher<Call>, registrations: readonly Registration<Call>[], warn: Warn): void {
  for (const duplicate of calls.duplicates)
    warn('services', `several bindings are for ${duplicate}: none of them is used, as in Envoy`);
  for (const { target } of registrations) {
    for (const { fieldPath, field } of target.variables) {
      if (typeof field !== 'string') continue;
      warn('services', `{${fieldPath.join('.')}} in a path template of ${target.name}: ${field}`);
    }
  }
}

function lineOptions(config: GrpcJsonTranscoder): LineOptions {
  const { captureUnknownQueryParameters: capture, ignoreUnknownQueryParameters: ignore } = config;
  return {
    unescape: UNESCAPE[config.urlUnescapeSpec] ?? 'all-but-reserved',
    plusIsSpace: config.queryParamUnescapePlus,
    ignored: new Set(config.ignoredQueryParameters),
    unknown: capture ? 'capture' : ignore ? 'ignore' : 'refuse',
  };
}

const UNESCAPE: Readonly<Record<number, UnescapeSpec>> = {
  [Unescape.ALL_CHARACTERS_EXCEPT_RESERVED]: 'all-but-reserved',
  [Unescape.ALL_CHARACTERS_EXCEPT_SLASH]: 'all-but-slash',
  [Unescape.ALL_CHARACTERS]: 'all',
};

function framingOf({ printOptions }: GrpcJsonTranscoder): StreamFraming {
  if (printOptions?.streamSseStyleDelimited === true) return SERVER_SENT_EVENTS;
  return printOptions?.streamNewlineDelimited === true ? NEWLINES : JSON_ARRAY;
}

/** The descriptor set's own, or the one that is built in. */
function statusType(types: FileRegistry): StatusPrinter['type'] {
  const type = types.getMessage('google.rpc.Status') ?? messageType('google.rpc.Status');
  if (type === undefined) throw new Error('google.rpc.Status is not in the registry: generate the API again');
  return type;
}
