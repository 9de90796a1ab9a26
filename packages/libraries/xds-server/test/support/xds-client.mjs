/**
 * A process with a client of grpc-js-xds: for each line on stdin it calls the backend, and prints what that says, or
 * `error: …`. The bootstrap comes in GRPC_XDS_BOOTSTRAP_CONFIG.
 */
import { createInterface } from 'node:readline';
import grpc from '@grpc/grpc-js';
import { register } from '@grpc/grpc-js-xds';

register();
const client = new grpc.Client('xds:///greeter', grpc.credentials.createInsecure());
const same = (bytes) => bytes;

createInterface({ input: process.stdin })
  .on('line', () => {
    const options = { deadline: Date.now() + 10_000 };
    client.makeUnaryRequest(
      '/test.Backend/Say',
      same,
      same,
      Buffer.alloc(0),
      new grpc.Metadata(),
      options,
      (error, reply) => console.log(error === null ? String(reply) : `error: ${error.message}`),
    );
  })
  .on('close', () => process.exit());
