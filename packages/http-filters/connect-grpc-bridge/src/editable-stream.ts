import type { HttpStream } from '@dragoman/core';

/** A stream whose filters may add to bodies, and take back what they hold of them. */
export interface EditableStream extends HttpStream {
  /**
   * Adds body behind what this filter holds and before what is to come; from the headers hook of a message that had none, and from
   * the trailers hook, it is the end of the body. The filters behind this one see it.
   */
  addRequestBody(chunk: Buffer): void;
  addResponseBody(chunk: Buffer): void;
  /** Takes what this filter's body hook has seen and holds: it does not go on by itself any more. */
  takeHeldRequestBody(): readonly Buffer[];
  takeHeldResponseBody(): readonly Buffer[];
}
