import type { HealthCheck_Payload as Payload } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';

const EMPTY = Buffer.alloc(0);
const HEX = /^([0-9a-fA-F]{2})+$/;

/**
 * The bytes of a `HealthCheck.Payload`: `text` is hexadecimal.
 * @throws ConfigError with a path below the payload
 */
export function decodePayload({ payload }: Payload): Buffer {
  switch (payload.case) {
    case 'text':
      if (!HEX.test(payload.value))
        throw ConfigError.at(
          'text',
          `invalid hex string '${payload.value}': pairs of hex digits are expected, e.g. "50494e47" for PING`,
        );
      return Buffer.from(payload.value, 'hex');
    case 'binary':
      return Buffer.from(payload.value);
    default:
      throw ConfigError.at('', 'one of text and binary is required');
  }
}

/**
 * Looks for blocks of bytes in a stream that comes in pieces: each has to be found, in their order and without overlap; what stands
 * before, between and behind them does not matter (Envoy: `PayloadMatcher`). Keeps no more than the longest block.
 */
export class PayloadScan {
  private readonly blocks: readonly Buffer[];
  private found = 0;
  /** The end of what has come, in which the next block may have begun. */
  private tail: Buffer = EMPTY;

  /** @param blocks those that are empty are always found */
  constructor(blocks: readonly Buffer[]) {
    this.blocks = blocks;
  }

  /** Every block was found. */
  get matched(): boolean {
    return this.found === this.blocks.length;
  }

  /** @returns {@link matched} */
  push(chunk: Buffer): boolean {
    if (this.matched) return true;
    const data = this.tail.length === 0 ? chunk : Buffer.concat([this.tail, chunk]);
    let from = 0;
    for (; this.found < this.blocks.length; this.found++) {
      const block = this.blocks[this.found] as Buffer;
      const at = data.indexOf(block, from);
      if (at < 0) {
        const kept = Math.min(block.length - 1, data.length - from);
        this.tail = Buffer.from(data.subarray(data.length - kept));
        return false;
      }
      from = at + block.length;
    }
    this.tail = EMPTY;
    return true;
  }

  /** Begins anew. */
  reset(): void {
    this.found = 0;
    this.tail = EMPTY;
  }
}
