import type { Connection, HealthCheckResult } from '@dragoman/core';
import {
  type ByteExchange,
  type ByteVerdict,
  HEALTHY,
  unhealthy,
  unreachable,
} from '@dragoman/health-checking';
import { type RespAnswer, RespReader } from './resp.ts';

/** A command as Redis reads it: an array of strings with their lengths. */
export function encodeCommand(...words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}

/** `EXISTS <key>`, which is to be 0, or `PING`, which is to be answered with PONG. */
export class RedisCheckExchange implements ByteExchange {
  private readonly command: Buffer;
  private readonly expects: 'no-key' | 'pong';
  private reader: RespReader = new RespReader();

  /** @param key empty: PING */
  constructor(key: string) {
    this.expects = key === '' ? 'pong' : 'no-key';
    this.command = key === '' ? encodeCommand('PING') : encodeCommand('EXISTS', key);
  }

  begin(connection: Connection): undefined {
    this.reader = new RespReader();
    connection.writeBody(this.command, true);
    return undefined;
  }

  onData(data: Buffer): ByteVerdict | undefined {
    const { reader } = this;
    const answer = reader.push(data);
    if (reader.failure !== undefined) return { result: unreachable(reader.failure), keep: false };
    if (answer === undefined) return undefined;
    return { result: this.judge(answer), keep: !reader.surplus };
  }

  private judge(answer: RespAnswer): HealthCheckResult {
    if (answer.kind === 'error') return judgeError(answer.text);
    if (this.expects === 'pong') {
      if (answer.kind === 'simple' && answer.text === 'PONG') return HEALTHY;
      return unhealthy(`PING was answered with ${described(answer)}`);
    }
    if (answer.kind === 'integer' && Number(answer.text) === 0) return HEALTHY;
    return unhealthy(`EXISTS was answered with ${described(answer)}`);
  }
}

/** A server that sends clients elsewhere is well; one that knows its cluster to be down counts as not reached (both as in Envoy). */
function judgeError(text: string): HealthCheckResult {
  const words = text.split(' ').filter((word) => word !== '');
  if (words.length === 3 && (words[0] === 'MOVED' || words[0] === 'ASK')) return HEALTHY;
  return words[0] === 'CLUSTERDOWN' ? unreachable(text) : unhealthy(`error: ${shortened(text)}`);
}

function described({ kind, text }: RespAnswer): string {
  return text === '' ? kind : `${kind} ${shortened(text)}`;
}

/** For people: a line of a server may be long. */
function shortened(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
