import {
  type DirectResponseAction as DirectResponseConfig,
  readDataSource,
  type SubstitutionFormatString,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DirectResponseAction,
  type DirectResponseFormat,
  type FormatterFactory,
  type RequestHeaders,
  ResponseHeaders,
  type StreamInfo,
  type TextFormatter,
} from '@dragoman/core';
import { formattedBytes, isUnfitForWire } from '@dragoman/header-edits';
import { requestUri } from './redirect.ts';

/** Envoy's `max_direct_response_body_size_bytes`, in bytes. */
export const DEFAULT_MAX_BODY_BYTES = 4096;

/**
 * Compiles `direct_response`; a file is read now.
 * @param maxBodyBytes `max_direct_response_body_size_bytes`: of `body`, not of what `body_format` makes
 * @throws ConfigError for a status outside 200 … 599, a body that cannot be read or is too large, a broken format
 */
export function compileDirectResponse(
  config: DirectResponseConfig,
  maxBodyBytes: number,
  formatters: FormatterFactory,
): DirectResponseAction {
  const { status, body: source, bodyFormat } = config;
  if (status < 200 || status >= 600)
    throw ConfigError.at('status', `${status} is not a status from 200 to 599`);
  const body = source === undefined ? undefined : atPath('body', () => readDataSource(source));
  if (body !== undefined && body.length > maxBodyBytes)
    throw ConfigError.at(
      'body',
      `response body size is ${body.length} bytes; maximum is ${maxBodyBytes} (max_direct_response_body_size_bytes)`,
    );
  return {
    kind: 'direct-response',
    status,
    body: body === undefined || body.length === 0 ? undefined : body,
    format:
      bodyFormat === undefined
        ? undefined
        : atPath('body_format', () => compileFormat(bodyFormat, body?.toString('latin1') ?? '', formatters)),
    location: status === 201 || (status >= 300 && status < 400) ? requestUri : undefined,
  };
}

function compileFormat(
  config: SubstitutionFormatString,
  body: string,
  formatters: FormatterFactory,
): DirectResponseFormat {
  const { contentType, format } = config;
  if (isUnfitForWire(contentType)) throw ConfigError.at('content_type', 'may not contain NUL, CR or LF');
  const type =
    contentType !== '' ? contentType : format.case === 'jsonFormat' ? 'application/json' : undefined;
  return new FormattedBody(formatters.fromConfig(config), body, type);
}

class FormattedBody implements DirectResponseFormat {
  readonly contentType: string | undefined;
  private readonly formatter: TextFormatter;
  private readonly fixed: string;

  /** @param fixed what `%LOCAL_REPLY_BODY%` stands for, in bytes */
  constructor(formatter: TextFormatter, fixed: string, contentType: string | undefined) {
    this.formatter = formatter;
    this.fixed = fixed;
    this.contentType = contentType;
  }

  body(headers: RequestHeaders, info: StreamInfo): Buffer {
    const text = this.formatter.format({
      info,
      request: headers,
      // There are none yet: they are made once the body is known.
      response: new ResponseHeaders(),
      responseTrailers: undefined,
      localReplyBody: this.fixed,
      type: 'NotSet',
    });
    return Buffer.from(formattedBytes(text), 'latin1');
  }
}
