import type { ApiConfigSource, DescMessage, PathConfigSource } from '@dragoman/api';
import type { ConfigSubscription, SubscriptionOptions } from '@dragoman/core';
import { checkPathSource, createFileSubscription } from './file-subscription.ts';
import { compileRestSource } from './rest-config.ts';
import { createRestSubscription } from './rest-subscription.ts';
import type { FileSourceContext, RestSourceContext } from './source-context.ts';

/** The kinds of config sources besides gRPC. */
export interface OtherSources {
  /** @throws ConfigError with a path below the PathConfigSource */
  path<D extends DescMessage>(options: SubscriptionOptions<D>, source: PathConfigSource): ConfigSubscription;
  /** For `api_type: REST`. @throws ConfigError with a path below the ApiConfigSource */
  rest<D extends DescMessage>(options: SubscriptionOptions<D>, source: ApiConfigSource): ConfigSubscription;
  /** @throws ConfigError as {@link path} would */
  checkPath(source: PathConfigSource): void;
  /** The cluster need not be there yet. @throws ConfigError as {@link rest} would */
  checkRest(source: ApiConfigSource, type: DescMessage): void;
}

export function createOtherSources(context: FileSourceContext & RestSourceContext): OtherSources {
  return {
    path: (options, source) => createFileSubscription(options, source, context),
    rest: (options, source) => createRestSubscription(options, source, context),
    checkPath: checkPathSource,
    checkRest: (source, type) => void compileRestSource(source, undefined, type),
  };
}
