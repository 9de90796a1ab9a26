import type { ForwardPolicies } from '@dragoman/core';
import { BodyPieces } from './body-pieces.ts';

/** What has come of a request's body, kept for the next try. */
export class RequestCopy extends BodyPieces {
  private readonly limit: number;

  /** @param streamLimit bytes: what may be kept of a stream where its route does not say more */
  constructor(policies: ForwardPolicies, streamLimit: number) {
    super();
    const { requestBodyBufferLimitBytes, requestBufferLimitBytes = streamLimit } = policies;
    this.limit = requestBodyBufferLimitBytes ?? Math.min(requestBufferLimitBytes, streamLimit);
  }

  hasRoomFor(chunk: Buffer): boolean {
    return this.bytes + chunk.length <= this.limit;
  }
}
