/** Texts may quote what came in; so many characters of them do. */
const MAX_MESSAGE = 1024;

/** Why something cannot be transcoded, and what the client gets instead. */
export class Refusal {
  /** HTTP status of the reply. */
  readonly status: number;
  /** What stands in braces in the response code details: a gRPC status by name, or one of Envoy's words. */
  readonly code: string;
  /** Body of the reply. */
  readonly message: string;

  constructor(status: number, code: string, message: string) {
    this.status = status;
    this.code = code;
    this.message = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  }

  /** The request's fault. */
  static request(message: string): Refusal {
    return new Refusal(400, 'INVALID_ARGUMENT', message);
  }

  static requestTooLarge(): Refusal {
    return new Refusal(
      413,
      'request_buffer_size_limit_reached',
      "Request rejected because the transcoder's internal buffer size exceeds the configured limit.",
    );
  }

  /** The upstream's fault. */
  static response(message: string): Refusal {
    return new Refusal(502, 'INTERNAL', message);
  }

  static responseTooLarge(): Refusal {
    return new Refusal(
      500,
      'response_buffer_size_limit_reached',
      "Response not transcoded because the transcoder's internal buffer size exceeds the configured limit.",
    );
  }
}

/** The text of something that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
