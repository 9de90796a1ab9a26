import { createFormatterFactory } from '@dragoman/access-log';
import {
  create,
  HealthCheck_HttpHealthCheckSchema as HttpHealthCheckSchema,
  type MessageInitShape,
} from '@dragoman/api';
import type {
  HealthCheckerContext,
  HealthHttpConnection,
  HealthHttpHandler,
  ResponseDecoder,
} from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import { HealthScene, type HealthSceneOptions } from '@dragoman/testing';
import { httpHealthChecker } from '../src/index.ts';

export type Config = MessageInitShape<typeof HttpHealthCheckSchema>;

export const text = (value: string) =>
  ({ payload: { case: 'text', value: Buffer.from(value).toString('hex') } }) as const;

/** HTTP is in the test's hand. */
export function plainScene(options: HealthSceneOptions = {}): HealthScene {
  const formatters = createFormatterFactory({ hostname: 'proxy.test' });
  return new HealthScene({ ...options, context: { formatters, ...options.context } });
}

/** HTTP/1.1 is put into bytes by the proxy's own codec. */
export function wireScene(options: HealthSceneOptions = {}): HealthScene {
  return plainScene({
    connectHttp: (scene, _target, _protocol, handler) => overHttp1(scene, handler),
    ...options,
  });
}

export function checkerFor(config: Config, context: HealthCheckerContext) {
  return httpHealthChecker.create(
    create(HttpHealthCheckSchema, { path: '/healthz', ...config }) as never,
    context,
  );
}

function overHttp1(scene: HealthScene, handler: HealthHttpHandler): HealthHttpConnection {
  let usable = true;
  let told = false;
  const gone = (reason: string) => {
    usable = false;
    if (told) return;
    told = true;
    handler.onClosed(reason);
  };
  const connection = scene.connect({
    onConnected: () => handler.onReady(),
    onData: (data) => codec.dispatch(data),
    onEnd: () => codec.onPeerEnd(),
    onWritable: () => codec.onWritable(),
    onClose: (kind, reason) => {
      codec.onConnectionClosed(kind, reason);
      gone(reason);
    },
  });
  const end = (reason: string) => {
    connection.close('now');
    gone(reason);
  };
  const codec = createClientCodec(
    connection,
    { onStreamComplete: (reusable) => (reusable ? undefined : end('')), onProtocolError: end },
    {},
  );
  return {
    request: (decoder: ResponseDecoder) => (usable ? codec.newStream(decoder) : undefined),
    close: () => {
      usable = false;
      told = true;
      connection.close('now');
    },
  };
}
