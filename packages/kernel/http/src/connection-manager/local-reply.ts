import {
  isGrpcContentType,
  type LocalReply,
  type RequestHeaders,
  ResponseHeaders,
  type Route,
  type StreamInfo,
  wellKnownId,
} from '@dragoman/core';
import { encodeGrpcMessage, grpcStatusFromHttp } from '@dragoman/grpc-frames';
import type { LocalReplyRewriter } from './local-reply-config.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');

export const PLAIN_TEXT = 'text/plain';
export const JSON_TYPE = 'application/json';

/** What a reply answers, and by whose rules. */
export interface ReplyScene {
  /** Undefined for bytes that are no request. */
  readonly request: RequestHeaders | undefined;
  /** The request came as gRPC, as HEAD: filters may have changed it since. Default: as {@link request} is. */
  readonly isGrpc?: boolean;
  readonly isHead?: boolean;
  readonly info: StreamInfo;
  readonly route: Route | undefined;
  /** `local_reply_config`. */
  readonly rewriter: LocalReplyRewriter | undefined;
}

/** A reply while it is being made. */
export interface ReplyDraft {
  readonly headers: ResponseHeaders;
  status: number;
  body: Buffer;
  contentType: string;
  /** The body before `body_format`. */
  text: Buffer;
}

/** A local reply as headers and body. */
export interface BuiltReply {
  readonly headers: ResponseHeaders;
  /** Undefined when none is sent. */
  readonly body: Buffer | undefined;
  /** What the reply says, for logs: a string of bytes. Undefined for nothing. */
  readonly text: string | undefined;
}

const EMPTY = Buffer.alloc(0);

/**
 * The wire form of a {@link LocalReply}, in Envoy's order: the headers of the route, those of whoever replies, then what
 * `local_reply_config` makes of it; a gRPC request gets the status in headers alone.
 */
export function buildLocalReply(
  reply: LocalReply,
  {
    request,
    info,
    route,
    rewriter,
    isGrpc = request !== undefined && isGrpcContentType(request),
    isHead = request?.method === 'HEAD',
  }: ReplyScene,
): BuiltReply {
  const headers = new ResponseHeaders();
  headers.status = reply.status;
  if (route?.action.kind === 'forward' && request !== undefined)
    route.finalizeResponseHeaders(headers, info, request);
  reply.modifyHeaders?.(headers);
  const original = typeof reply.body === 'string' ? Buffer.from(reply.body) : (reply.body ?? EMPTY);
  const typeBefore = headers.getKnown(ID_CONTENT_TYPE);
  const draft: ReplyDraft = {
    headers,
    status: reply.status,
    body: original,
    contentType: PLAIN_TEXT,
    text: original,
  };
  info.responseCode = reply.status;
  rewriter?.rewrite(draft, request, info);
  const text = draft.text.length === 0 ? undefined : draft.text.toString('latin1');
  if (isGrpc) {
    finishGrpc(reply, draft, isHead);
    return { headers, body: undefined, text };
  }
  const { body } = draft;
  if (body.length === 0) {
    headers.removeKnown(ID_CONTENT_LENGTH);
    headers.removeKnown(ID_CONTENT_TYPE);
    return { headers, body: undefined, text };
  }
  headers.setKnown(ID_CONTENT_LENGTH, String(body.length));
  const typeNow = headers.getKnown(ID_CONTENT_TYPE);
  // Another body than the one its maker gave a type: the format's type counts, unless a mapper has set one.
  const changed = body !== original && !body.equals(original);
  if (typeNow === undefined || (changed && typeNow === typeBefore))
    headers.setKnown(ID_CONTENT_TYPE, draft.contentType);
  return { headers, body: isHead ? undefined : body, text };
}

function finishGrpc(
  reply: LocalReply,
  { headers, status, body, contentType }: ReplyDraft,
  isHead: boolean,
): void {
  headers.status = 200;
  headers.setKnown(ID_CONTENT_TYPE, 'application/grpc');
  if ((headers.getKnown(ID_GRPC_STATUS) ?? '') === '')
    headers.setKnown(ID_GRPC_STATUS, String(reply.grpcStatus ?? grpcStatusFromHttp(status)));
  if (body.length > 0 && !isHead) {
    // A JSON format ends with a newline, which is no part of a message.
    const line = contentType === JSON_TYPE && body[body.length - 1] === 0x0a ? body.subarray(0, -1) : body;
    headers.setKnown(ID_GRPC_MESSAGE, encodeGrpcMessage(line));
  }
  headers.removeKnown(ID_CONTENT_LENGTH);
}
