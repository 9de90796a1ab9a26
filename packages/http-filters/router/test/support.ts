import {
  type AccessLoggerExtension,
  type Extension,
  type LogContext,
  responseFlagsShort,
} from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  eventually,
  FakeClock,
  type HttpBootstrapOptions,
  httpBootstrap,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { router } from '../src/index.ts';

export const EXTENSIONS: readonly Extension[] = [
  httpConnectionManager,
  router,
  roundRobin,
  staticDiscovery,
  uuidRequestId,
];

/** A proxy on fake time that keeps what is logged of each request. */
export interface Proxied extends AsyncDisposable {
  readonly proxy: TestProxy;
  readonly clock: FakeClock;
  readonly logged: LogContext[];
  /** Waits for the `count`-th entry of the access log. */
  entry(count?: number): Promise<LogContext>;
}

export async function startRouter(
  options: HttpBootstrapOptions,
  extensions: readonly Extension[] = [],
): Promise<Proxied> {
  const clock = new FakeClock();
  const logged: LogContext[] = [];
  const capture: AccessLoggerExtension = {
    category: 'access-loggers',
    name: 'capture',
    create: () => ({ log: (context) => void logged.push(context) }),
  };
  const bootstrap = httpBootstrap({
    ...options,
    manager: { access_log: [{ name: 'capture' }], generate_request_id: false, ...options.manager },
  });
  const proxy = await startProxy(bootstrap, { extensions: [...EXTENSIONS, capture, ...extensions], clock });
  return {
    proxy,
    clock,
    logged,
    async entry(count = 1) {
      await eventually(() => logged.length >= count);
      return logged[count - 1] as LogContext;
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

/** `503 UF details`: what the access log says. */
export function summary({ info }: LogContext): string {
  return `${info.responseCode} ${responseFlagsShort(info.responseFlags)} ${info.responseCodeDetails}`;
}
