import { createAccessLogFilter } from '@dragoman/access-log';
import {
  type LocalReplyConfig,
  type ResponseMapper as ResponseMapperConfig,
  readDataSource,
  type SubstitutionFormatString,
} from '@dragoman/api';
import {
  type AccessLogFilter,
  atPath,
  ConfigError,
  type ListenerFactoryContext,
  type LogContext,
  ProblemCollector,
  RequestHeaders,
  type StreamInfo,
  type TextFormatter,
} from '@dragoman/core';
import { compileHeaderMutation, type HeaderMutation, isUnfitForWire } from '@dragoman/header-edits';
import { utf8Bytes } from '@dragoman/matching';
import { JSON_TYPE, PLAIN_TEXT, type ReplyDraft } from './local-reply.ts';

/** Changes local replies as `local_reply_config` says. */
export interface LocalReplyRewriter {
  rewrite(draft: ReplyDraft, request: RequestHeaders | undefined, info: StreamInfo): void;
}

/** `body_format`, compiled. */
interface BodyFormat {
  readonly formatter: TextFormatter;
  readonly contentType: string;
}

/** One of `mappers`, compiled. */
interface Mapper {
  readonly accepts: AccessLogFilter;
  readonly status: number | undefined;
  readonly body: Buffer | undefined;
  readonly headers: HeaderMutation | undefined;
  readonly format: BodyFormat | undefined;
}

/**
 * What formatters and filters see of a reply: its own headers, and the text it has so far. Made for one reply, since
 * formatters of extensions may keep it.
 */
class ReplyContext implements LogContext {
  readonly info: StreamInfo;
  readonly request: RequestHeaders;
  readonly responseTrailers = undefined;
  readonly type = 'NotSet';
  private readonly draft: ReplyDraft;

  constructor(draft: ReplyDraft, request: RequestHeaders | undefined, info: StreamInfo) {
    this.draft = draft;
    this.request = request ?? new RequestHeaders();
    this.info = info;
  }

  get response(): ReplyDraft['headers'] {
    return this.draft.headers;
  }

  get localReplyBody(): string {
    return this.draft.text.toString('latin1');
  }
}

class ConfiguredReplies implements LocalReplyRewriter {
  private readonly mappers: readonly Mapper[];
  private readonly format: BodyFormat | undefined;

  constructor(mappers: readonly Mapper[], format: BodyFormat | undefined) {
    this.mappers = mappers;
    this.format = format;
  }

  rewrite(draft: ReplyDraft, request: RequestHeaders | undefined, info: StreamInfo): void {
    const context = new ReplyContext(draft, request, info);
    let { format } = this;
    for (const mapper of this.mappers) {
      if (!mapper.accepts(context)) continue;
      apply(mapper, draft, context);
      format = mapper.format ?? format;
      break;
    }
    if (format === undefined) return;
    draft.body = Buffer.from(format.formatter.format(context), 'latin1');
    draft.contentType = format.contentType;
  }
}

/** Formatters of added headers see the status as it was before. */
function apply(mapper: Mapper, draft: ReplyDraft, context: LogContext): void {
  if (mapper.body !== undefined) {
    draft.body = mapper.body;
    draft.text = mapper.body;
  }
  mapper.headers?.apply(draft.headers, context);
  if (mapper.status === undefined) return;
  draft.status = mapper.status;
  draft.headers.status = mapper.status;
  context.info.responseCode = mapper.status;
}

/**
 * Compiles `local_reply_config`; undefined when it changes nothing.
 * @throws ConfigError with paths below the message
 */
export function compileLocalReplies(
  config: LocalReplyConfig | undefined,
  context: ListenerFactoryContext,
): LocalReplyRewriter | undefined {
  if (config === undefined) return undefined;
  const problems = new ProblemCollector();
  const mappers = config.mappers.map((mapper, i) =>
    problems.try(`mappers[${i}]`, () => compileMapper(mapper, context)),
  );
  const format = problems.try('body_format', () => compileFormat(config.bodyFormat, context));
  problems.throwIfAny();
  if (mappers.length === 0 && format === undefined) return undefined;
  return new ConfiguredReplies(mappers as Mapper[], format);
}

function compileMapper(config: ResponseMapperConfig, context: ListenerFactoryContext): Mapper {
  const { filter, statusCode, body, bodyFormatOverride, headersToAdd } = config;
  if (filter === undefined) throw ConfigError.at('filter', 'is required: which replies the mapper is for');
  if (statusCode !== undefined && (statusCode < 200 || statusCode >= 600))
    throw ConfigError.at('status_code', `${statusCode} is not a status from 200 to 599`);
  return {
    accepts: atPath('filter', () => createAccessLogFilter(filter, context)),
    status: statusCode,
    body: body === undefined ? undefined : atPath('body', () => readDataSource(body)),
    headers: compileHeaderMutation(headersToAdd, [], context.formatters, 'headers_to_add', ''),
    format: atPath('body_format_override', () => compileFormat(bodyFormatOverride, context)),
  };
}

function compileFormat(
  config: SubstitutionFormatString | undefined,
  context: ListenerFactoryContext,
): BodyFormat | undefined {
  if (config === undefined) return undefined;
  const formatter = context.formatters.fromConfig(config, { raw: true });
  const ownType = config.format.case === 'jsonFormat' ? JSON_TYPE : PLAIN_TEXT;
  const contentType = config.contentType === '' ? ownType : utf8Bytes(config.contentType);
  if (isUnfitForWire(contentType))
    throw ConfigError.at('content_type', 'a header value may not contain NUL, CR or LF');
  return { formatter, contentType };
}
