import { type HttpFilter as HttpFilterConfig, UpstreamCodecSchema } from '@dragoman/api';
import {
  ConfigError,
  type CreateHttpFilter,
  defineTerminalHttpFilter,
  type HttpFilterContext,
  type HttpFilterExtension,
  ProblemCollector,
  type UpstreamHttpFilters,
} from '@dragoman/core';
import { resolveFilters } from '../connection-manager/compile-filters.ts';
import { throughFilters, type UpstreamChain, UpstreamStream } from './upstream-stream.ts';

const NAME = 'envoy.filters.http.upstream_codec';

/** `envoy.filters.http.upstream_codec`: the end of every list of upstream filters. What it stands for, the codec, is there without it. */
export const upstreamCodec: HttpFilterExtension = defineTerminalHttpFilter({
  name: NAME,
  config: UpstreamCodecSchema,
  upstream: true,
  create() {
    throw ConfigError.at(
      '',
      `${NAME} ends a list of upstream filters; a connection manager's ends with the router`,
    );
  },
});

/**
 * Compiles `http_filters` of a cluster, or `upstream_http_filters` of a router.
 * @param field where the list stands
 * @throws ConfigError with paths from `<field>[i]`
 */
export function compileUpstreamFilters(
  filters: readonly HttpFilterConfig[],
  context: HttpFilterContext,
  field: string,
): UpstreamHttpFilters {
  const problems = new ProblemCollector();
  const resolved = resolveFilters(filters, context, field, NAME);
  const compiled = resolved.map((listed) => {
    const { name, disabled, path } = listed;
    if (listed.kind === 'discovered') {
      problems.add(
        `${path}.config_discovery`,
        'configs of filters on the upstream side are not discovered yet; write the config in typed_config',
      );
      return undefined;
    }
    const { extension, message } = listed;
    if (extension.upstream !== true) {
      problems.add(path, `${extension.name} cannot run on the upstream side; put it before the router`);
      return undefined;
    }
    if (extension.terminal) return undefined;
    const create = problems.try(`${path}.typed_config`, () => extension.create(message, context));
    return { name, disabled, create: create as CreateHttpFilter };
  });
  problems.throwIfAny();
  const chain: UpstreamChain = {
    filters: compiled.filter((entry) => entry !== undefined),
    logger: context.loggers.logger('http'),
  };
  return {
    through: (pool, scene) =>
      chain.filters.length === 0
        ? pool
        : {
            newStream: (decoder, callbacks) => {
              const stream = new UpstreamStream(chain, scene, decoder);
              return pool.newStream(stream, throughFilters(stream, callbacks));
            },
          },
  };
}
