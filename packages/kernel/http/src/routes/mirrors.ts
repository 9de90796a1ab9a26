import type { RouteAction_RequestMirrorPolicy } from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type FactoryContext,
  type LogContext,
  type MirrorPolicy,
  ProblemCollector,
  type RequestHeaders,
  type StreamInfo,
} from '@dragoman/core';
import { compileMutationRules, type MutationRules } from '@dragoman/header-edits';
import { compileRuntimeFraction, utf8Bytes } from '@dragoman/matching';
import { portStart } from '../path/index.ts';

const SHADOW = '-shadow';
/** Given 0 ≤ draw < 2⁵³. */
type Draw = (draw: number) => boolean;

const ALWAYS: Draw = () => true;

/**
 * `request_mirror_policies` of one level; undefined for none, so that the level around counts.
 * @throws ConfigError with a path below the level
 */
export function compileMirrors(
  configs: readonly RouteAction_RequestMirrorPolicy[],
  context: FactoryContext,
): readonly MirrorPolicy[] | undefined {
  if (configs.length === 0) return undefined;
  const problems = new ProblemCollector();
  const policies: MirrorPolicy[] = [];
  configs.forEach((config, i) => {
    const policy = problems.try(`request_mirror_policies[${i}]`, () => new CompiledMirror(config, context));
    if (policy !== undefined) policies.push(policy);
  });
  problems.throwIfAny();
  return policies;
}

class CompiledMirror implements MirrorPolicy {
  readonly selects: Draw;
  private readonly cluster: string;
  /** In lower case; empty: {@link cluster} counts. */
  private readonly header: string;
  private readonly mutations: MutationRules | undefined;
  /** Empty: the request's own. */
  private readonly host: string;
  private readonly suffix: boolean;

  constructor(config: RouteAction_RequestMirrorPolicy, context: FactoryContext) {
    const { cluster, clusterHeader, runtimeFraction } = config;
    if ((cluster === '') === (clusterHeader === ''))
      throw ConfigError.at('', 'a mirror policy needs either cluster or cluster_header');
    this.cluster = cluster;
    this.header = clusterHeader.toLowerCase();
    this.selects =
      runtimeFraction === undefined
        ? ALWAYS
        : atPath('runtime_fraction', () => compileRuntimeFraction(runtimeFraction, context.runtime));
    this.mutations =
      config.requestHeadersMutations.length === 0
        ? undefined
        : compileMutationRules(
            config.requestHeadersMutations,
            context.formatters,
            'request_headers_mutations',
          );
    this.host = utf8Bytes(config.hostRewriteLiteral);
    this.suffix = !config.disableShadowHostSuffixAppend;
    if (config.traceSampled !== undefined)
      context.warn(
        'request_mirror_policies.trace_sampled',
        'has no effect without tracing: mirrored requests have no span',
      );
  }

  clusterName(headers: RequestHeaders): string | undefined {
    return this.header === '' ? this.cluster : headers.get(this.header) || undefined;
  }

  prepare(copy: RequestHeaders, info: StreamInfo): void {
    this.mutations?.apply(copy, contextOf(copy, info));
    if (this.host !== '') copy.authority = this.host;
    else if (this.suffix) copy.authority = withSuffix(copy.authority);
  }
}

function contextOf(request: RequestHeaders, info: StreamInfo): LogContext {
  return { info, request, response: undefined, responseTrailers: undefined, type: 'NotSet' };
}

/** `a:80` → `a-shadow:80`. */
function withSuffix(host: string): string {
  const colon = portStart(host);
  return colon < 0 ? host + SHADOW : host.slice(0, colon) + SHADOW + host.slice(colon);
}
