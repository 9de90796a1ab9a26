/** Statuses of gRPC that a stream can end with. */
export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED';

/** Ends a stream with a status of gRPC. Callbacks throw it to turn a client away. */
export class XdsError extends Error {
  readonly status: StatusName;

  constructor(status: StatusName, message: string) {
    super(message);
    this.name = 'XdsError';
    this.status = status;
  }
}

/** What the client hears of an error: the words of an {@link XdsError}, none of any other. */
export function asXdsError(error: unknown): XdsError {
  return error instanceof XdsError
    ? error
    : new XdsError('INTERNAL', 'the control plane failed to serve this stream');
}
