import { FrameFlag, GrpcFrameReader } from '@dragoman/grpc-frames';
import type { Call } from './call.ts';
import { readRawBody } from './http-body.ts';
import type { JsonPrinter } from './json-printer.ts';
import { Refusal } from './refusal.ts';

/** Turns the gRPC frames of a response into the body that a client gets, as they come. */
export interface ResponseBody {
  /** Bytes that are kept. */
  readonly pendingBytes: number;
  /** A frame has been read. */
  readonly begun: boolean;
  /** Of the first message of a {@link rawResponse}; undefined before. */
  readonly contentType: string | undefined;
  /** What may go out with this piece. */
  push(chunk: Buffer): Buffer | Refusal;
  /** The rest, once the body is at its end. */
  finish(): Buffer | Refusal;
}

/** What stands around the messages of a stream. */
export interface StreamFraming {
  readonly contentType: string;
  readonly open: string;
  /** In front of each line of a message. */
  readonly line: string;
  readonly between: string;
  readonly after: string;
  readonly close: string;
}

const JSON_TYPE = 'application/json';
export const JSON_ARRAY: StreamFraming = {
  contentType: JSON_TYPE,
  open: '[',
  line: '',
  between: ',',
  after: '',
  close: ']',
};
/** `stream_newline_delimited` */
export const NEWLINES: StreamFraming = {
  contentType: JSON_TYPE,
  open: '',
  line: '',
  between: '',
  after: '\n',
  close: '',
};
/** `stream_sse_style_delimited` */
export const SERVER_SENT_EVENTS: StreamFraming = {
  contentType: 'text/event-stream',
  open: '',
  line: 'data: ',
  between: '',
  after: '\n\n',
  close: '',
};
const ALONE: StreamFraming = { ...NEWLINES, after: '' };

const EMPTY = Buffer.alloc(0);
const ANY_FLAGS = 0xff;

/** Messages one by one, whatever becomes of them. */
abstract class FramedBody implements ResponseBody {
  begun = false;
  contentType: string | undefined = undefined;
  protected readonly call: Call;
  private readonly reader: GrpcFrameReader;
  /** Nothing more is looked at. */
  private done = false;

  constructor(call: Call, limit: number) {
    this.call = call;
    // Flags are looked at here: Envoy has a text for them.
    this.reader = new GrpcFrameReader({ maxMessageBytes: limit, allowedFlags: ANY_FLAGS });
  }

  protected abstract convert(message: Buffer): Buffer | string | Refusal;
  /** A call that is not a stream has one message. */
  protected abstract isLast(message: Buffer): boolean;
  abstract finish(): Buffer | Refusal;

  get pendingBytes(): number {
    return this.reader.pendingBytes;
  }

  push(chunk: Buffer): Buffer | Refusal {
    if (this.done) return EMPTY;
    const { reader } = this;
    reader.push(chunk);
    const parts: Buffer[] = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.flags !== 0) return unsupported(frame.flags);
      this.begun = true;
      const part = this.convert(frame.message);
      if (part instanceof Refusal) return part;
      parts.push(typeof part === 'string' ? Buffer.from(part) : part);
      if (!this.call.serverStreaming && this.isLast(frame.message)) {
        this.done = true;
        break;
      }
    }
    if (reader.failure !== undefined) return Refusal.responseTooLarge();
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** A message whose end never came. */
  protected cutShort(): Refusal | undefined {
    if (this.done || this.reader.pendingBytes === 0) return undefined;
    return Refusal.response(`Incomplete gRPC frame: ${this.reader.pendingBytes} bytes at the end`);
  }
}

function unsupported(flags: number): Refusal {
  const hint = (flags & FrameFlag.COMPRESSED) === 0 ? '' : ' (the message is compressed)';
  return Refusal.response(`Unsupported gRPC frame flag: ${flags}${hint}`);
}

/** Each message as JSON. */
export class JsonResponse extends FramedBody {
  private readonly printer: JsonPrinter;
  private readonly framing: StreamFraming;
  private count = 0;

  constructor(call: Call, printer: JsonPrinter, framing: StreamFraming, limit: number) {
    super(call, limit);
    this.printer = printer;
    this.framing = call.serverStreaming ? framing : ALONE;
  }

  protected convert(message: Buffer): string | Refusal {
    const { call, framing } = this;
    const json = this.printer.print(call.output, message, call.responseBody);
    if (json instanceof Refusal) return json;
    const lead = this.count++ === 0 ? framing.open : framing.between;
    if (framing.line === '') return lead + json + framing.after;
    const lines = json.trimEnd().split('\n');
    return lead + lines.map((line) => framing.line + line).join('\n') + framing.after;
  }

  protected isLast(): boolean {
    return true;
  }

  finish(): Buffer | Refusal {
    const { framing } = this;
    return this.cutShort() ?? Buffer.from((this.count === 0 ? framing.open : '') + framing.close);
  }
}

/** The data of `google.api.HttpBody`. */
export class RawResponse extends FramedBody {
  protected convert(message: Buffer): Buffer | Refusal {
    if (message.length === 0) return EMPTY;
    const body = readRawBody(message, this.call.responseBody);
    if (body === undefined)
      return Refusal.response(`the upstream's message is no ${this.call.output.typeName}`);
    // Header values are bytes.
    this.contentType ??= Buffer.from(body.contentType).toString('latin1');
    return /[\0-\x08\x0a-\x1f\x7f]/.test(this.contentType)
      ? Refusal.response('the content type of the HttpBody has control characters')
      : body.data;
  }

  protected isLast(message: Buffer): boolean {
    return message.length > 0;
  }

  finish(): Buffer | Refusal {
    return this.cutShort() ?? EMPTY;
  }
}
