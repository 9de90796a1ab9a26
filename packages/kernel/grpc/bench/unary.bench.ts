/**
 * What a unary call costs beside its connection: headers, framing, messages, accounting. The pool is in memory and answers at once.
 * Run: `node --conditions=dragoman-source packages/kernel/grpc/bench/unary.bench.ts`
 */
import {
  Authorization,
  CheckRequestSchema,
  CheckResponseSchema,
  create,
  fromBinary,
  GrpcServiceSchema,
  readLoose,
  toBinary,
} from '@dragoman/api';
import {
  type GrpcClient,
  type Host,
  type HttpPool,
  type HttpPoolCallbacks,
  type RequestEncoder,
  type ResponseDecoder,
  ResponseHeaders,
  systemClock,
  Trailers,
} from '@dragoman/core';
import { encodeGrpcFrame } from '@dragoman/grpc-frames';
import { testContext } from '@dragoman/testing';
import { createGrpcClientFactory } from '../src/index.ts';
import { MemoryCluster, MemoryClusters } from '../test/support/memory-cluster.ts';

const CALLS = 50_000;

/** Prints the best of five rounds: the others were disturbed. */
async function measure(name: string, round: () => void | Promise<void>): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    await round();
    best = Math.min(best, performance.now() - start);
  }
  const each = (best * 1000) / CALLS;
  console.log(`${name}: ${each.toFixed(2)} µs, ${Math.round(1e6 / each).toLocaleString('en')} a second`);
}

const responseBytes = toBinary(CheckResponseSchema, create(CheckResponseSchema, { status: { code: 7 } }));
const answer = encodeGrpcFrame(responseBytes);

/** Answers when the request is there to its end. */
class AnsweringPool implements HttpPool, RequestEncoder {
  readonly responseHeadBytes = 0;
  host!: Host;
  private decoder!: ResponseDecoder;

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): undefined {
    this.decoder = decoder;
    callbacks.onPoolReady(this, this.host, undefined as never);
    return undefined;
  }

  headers(): void {}

  body(_chunk: Buffer, endStream: boolean): boolean {
    if (endStream) {
      const headers = new ResponseHeaders();
      headers.status = 200;
      headers.append('content-type', 'application/grpc');
      this.decoder.onHeaders(headers, false);
      this.decoder.onBody(answer, false, false);
      const trailers = new Trailers();
      trailers.append('grpc-status', '0');
      this.decoder.onTrailers(trailers);
    }
    return true;
  }

  trailers(): void {}
  reset(): void {}
  pauseBody(): void {}
  resumeBody(): void {}
}

const context = testContext({ clock: systemClock as never });
const clusters = new MemoryClusters();
const cluster = new MemoryCluster('authz', context.stats);
const pool = new AnsweringPool();
[pool.host] = cluster.hosts;
cluster.httpPool = () => pool;
const [host] = cluster.hosts;
cluster.chooseHost = () => host;
// Counting is the cluster's own affair.
cluster.info.chargeResponse = () => {};
cluster.info.chargeResponseTime = () => {};
clusters.byName.set('authz', cluster);
const factory = createGrpcClientFactory({ context, clusters });
const client = (config: object): GrpcClient =>
  factory.create(readLoose(GrpcServiceSchema, { envoy_grpc: { cluster_name: 'authz' }, ...config }));

const { check } = Authorization.method;
const headers = Object.fromEntries(
  Array.from({ length: 10 }, (_, i) => [`x-header-${i}`, 'value'.repeat(4)]),
);
const request = create(CheckRequestSchema, {
  attributes: {
    contextExtensions: { route: 'a' },
    request: { http: { method: 'GET', path: '/index.html', host: 'a.test', headers } },
  },
});

let answered = 0;
const callbacks = {
  onSuccess: () => void answered++,
  onFailure() {
    throw new Error('a call failed');
  },
};

const plain = client({});
await measure('a unary call', () => {
  for (let i = 0; i < CALLS; i++) plain.unary(check, request, undefined, callbacks);
});
const full = client({
  timeout: '0.2s',
  retry_policy: { retry_on: 'unavailable' },
  initial_metadata: [{ key: 'x-key', value: 'a' }],
});
await measure('with a time, a retry policy and metadata', () => {
  for (let i = 0; i < CALLS; i++) full.unary(check, request, undefined, callbacks);
});
await measure('with a promise', async () => {
  for (let i = 0; i < CALLS; i++) await plain.unaryPromise(check, request);
});
await measure('of it, writing and reading the messages', () => {
  for (let i = 0; i < CALLS; i++) {
    toBinary(CheckRequestSchema, request);
    fromBinary(CheckResponseSchema, responseBytes);
  }
});
if (answered !== 2 * 5 * CALLS) throw new Error(`${answered} calls were answered`);
