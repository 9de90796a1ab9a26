import type { Endpoint } from '../endpoint.ts';
import { ok } from '../request.ts';

export function commands(): Endpoint[] {
  return [
    {
      path: '/healthcheck/fail',
      help: 'fail health checks from now on',
      mutates: true,
      handle: (state) => {
        state.failHealthCheck(true);
        return ok();
      },
    },
    {
      path: '/healthcheck/ok',
      help: 'pass health checks again',
      mutates: true,
      handle: (state) => {
        state.failHealthCheck(false);
        return ok();
      },
    },
    {
      path: '/quitquitquit',
      help: 'end the server',
      mutates: true,
      handle: (state) => ok(() => state.quit()),
    },
  ];
}
