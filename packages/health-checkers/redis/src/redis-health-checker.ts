import { RedisSchema } from '@dragoman/api';
import { defineHealthChecker, refuseUnsupported } from '@dragoman/core';
import { ByteCheckSession } from '@dragoman/health-checking';
import { RedisCheckExchange } from './exchange.ts';

/** `envoy.health_checkers.redis`: a host is well when it answers PING, or does not have a certain key. */
export const redisHealthChecker = defineHealthChecker({
  name: 'envoy.health_checkers.redis',
  config: RedisSchema,
  create(config, context) {
    refuseUnsupported(config, RedisSchema, new Set(['key']));
    const { key } = config;
    return {
      session: (target) =>
        new ByteCheckSession(context, target, new RedisCheckExchange(key), { strict: true }),
    };
  },
});
