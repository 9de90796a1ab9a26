import {
  type ApiConfigSource,
  create,
  type DescMessage,
  DiscoveryRequestSchema,
  type DiscoveryRequest,
  registry,
  StatusSchema,
  toJson,
  typeUrl,
} from '@dragoman/api';
import { appendForwardedIp } from '@dragoman/client-address';
import {
  ConfigError,
  type ConfigSubscription,
  type ConnectionInfo,
  type Counter,
  type Logger,
  ownConnection,
  RequestHeaders,
  type SubscriptionOptions,
  type Timer,
  wellKnownId,
} from '@dragoman/core';
import { Delivery } from './delivery.ts';
import { MAX_RESPONSE_BYTES, type ReadResponse } from './discovery-response.ts';
import { compileRestSource, type RestSettings } from './rest-config.ts';
import { RestRequest } from './rest-request.ts';
import type { RestSourceContext } from './source-context.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_EXPECTED = wellKnownId('x-envoy-expected-rq-timeout-ms');

/** `google.rpc.Code.INTERNAL`: what Envoy answers a config with that it refuses. */
const INTERNAL = 13;

/**
 * Subscribes to a management server that is asked again and again (`api_type: REST`): a `DiscoveryRequest` as JSON is posted to it, and it answers with a
 * `DiscoveryResponse`, or with 304 when there is nothing new. Between an answer and the next request `refresh_delay` passes, and up to
 * as much again, at random. Whatever goes wrong, what was known goes on.
 *
 * @throws ConfigError with a path below the ApiConfigSource
 */
export function createRestSubscription<D extends DescMessage>(
  options: SubscriptionOptions<D>,
  source: ApiConfigSource,
  context: RestSourceContext,
): ConfigSubscription {
  const settings = compileRestSource(source, options.source, options.type);
  if (context.clusters.get(settings.clusterName) === undefined)
    throw ConfigError.at(
      'cluster_names[0]',
      `there is no cluster "${settings.clusterName}"; a config source needs one of static_resources.clusters`,
    );
  return new RestSubscription(options, settings, context);
}

class RestSubscription<D extends DescMessage> implements ConfigSubscription {
  private readonly options: SubscriptionOptions<D>;
  private readonly settings: RestSettings;
  private readonly context: RestSourceContext;
  private readonly logger: Logger;
  private readonly delivery: Delivery<D>;
  private readonly rqTotal: Counter;
  private readonly connection: ConnectionInfo;
  private readonly refresh: Timer;
  private readonly initialFetch: Timer;
  private request: RestRequest | undefined = undefined;
  /** An answer is with the subscriber. */
  private busy = false;
  /** The names have changed since the request that is under way was sent. */
  private again = false;
  private stopped = false;
  /** Of what was accepted last. */
  private version = '';
  /** What was wrong with the last answer. */
  private error = '';

  constructor(options: SubscriptionOptions<D>, settings: RestSettings, context: RestSourceContext) {
    const { clock, loggers } = context;
    this.options = options;
    this.settings = settings;
    this.context = context;
    this.logger = loggers.logger('config');
    this.delivery = new Delivery(options, context, this.logger, this.origin);
    this.rqTotal = context.stats.scope('http.async-client').counter('rq_total');
    this.connection = ownConnection(context.localInfo.address, clock.wallTime());
    this.refresh = clock.timer(() => this.poll());
    this.initialFetch = clock.timer(() => this.onInitialFetchTimeout());
    if (settings.initialFetchTimeoutMs > 0) this.initialFetch.enable(settings.initialFetchTimeoutMs);
    // No callback comes before the subscriber has its subscription.
    this.refresh.enable(0);
  }

  setNames(names: readonly string[]): void {
    if (this.stopped || !this.delivery.setNames(names)) return;
    if (this.request !== undefined || this.busy) this.again = true;
    else this.refresh.enable(0);
  }

  stop(): void {
    this.stopped = true;
    this.delivery.stop();
    this.refresh.disable();
    this.initialFetch.disable();
    this.request?.cancel();
    this.request = undefined;
  }

  private get origin(): string {
    return `${this.settings.clusterName}${this.settings.path}`;
  }

  private poll(): void {
    const { context, settings, delivery } = this;
    // An empty list would ask for everything.
    if (delivery.wanted?.length === 0) return;
    this.again = false;
    delivery.stats.attempt.inc();
    const cluster = context.clusters.get(settings.clusterName);
    if (cluster === undefined) {
      this.onNoAnswer(`there is no cluster "${settings.clusterName}" any more`);
      return;
    }
    this.rqTotal.inc();
    const body = this.body();
    const request = new RestRequest({
      clock: context.clock,
      cluster,
      connection: this.connection,
      headers: this.headers(body.length, cluster.info.secure),
      body,
      timeoutMs: settings.timeoutMs,
      maxBytes: MAX_RESPONSE_BYTES,
      onAnswer: (status, answer) => this.onAnswer(status, answer),
      onFailure: (details) => this.onNoAnswer(details),
    });
    this.request = request;
    request.start();
  }

  private body(): Buffer {
    const { context, options, version, error, delivery } = this;
    const request: DiscoveryRequest = create(DiscoveryRequestSchema, {
      node: context.node,
      versionInfo: version,
      resourceNames: [...(delivery.wanted ?? [])].sort(),
      typeUrl: typeUrl(options.type),
    });
    if (error !== '') request.errorDetail = create(StatusSchema, { code: INTERNAL, message: error });
    return Buffer.from(
      JSON.stringify(toJson(DiscoveryRequestSchema, request, { registry, useProtoFieldName: true })),
    );
  }

  private headers(length: number, secure: boolean): RequestHeaders {
    const { settings, context } = this;
    const headers = new RequestHeaders();
    headers.method = 'POST';
    headers.path = settings.path;
    headers.authority = settings.clusterName;
    headers.scheme = secure ? 'https' : 'http';
    headers.appendKnown(ID_CONTENT_TYPE, 'application/json');
    headers.appendKnown(ID_CONTENT_LENGTH, String(length));
    headers.appendKnown(ID_INTERNAL, 'true');
    if (context.localInfo.address !== '') appendForwardedIp(headers, context.localInfo.address);
    headers.appendKnown(ID_EXPECTED, String(settings.timeoutMs));
    return headers;
  }

  private onAnswer(status: number, body: Buffer): void {
    this.request = undefined;
    if (status === 304) {
      this.logger.debug(`config is not modified: ${this.origin}`);
      this.rest();
      return;
    }
    if (status !== 200) {
      this.onNoAnswer(`it answered with status ${status}`);
      return;
    }
    this.initialFetch.disable();
    let response: ReadResponse<D>;
    try {
      response = this.delivery.read({ bytes: body, format: 'json', file: this.origin });
    } catch (error) {
      this.error = this.delivery.reject(error);
      this.rest();
      return;
    }
    this.busy = true;
    this.delivery.deliver(response, (refusal) => {
      this.busy = false;
      this.error = refusal ?? '';
      if (refusal === undefined) this.version = response.version;
      this.rest();
    });
  }

  private onNoAnswer(details: string): void {
    this.request = undefined;
    this.delivery.stats.failure.inc();
    this.logger.warn(`config update failure: ${this.origin}: ${details}`);
    this.delivery.fail('connection', `${this.origin}: ${details}`);
    this.rest();
  }

  private onInitialFetchTimeout(): void {
    const { initialFetchTimeoutMs } = this.settings;
    this.delivery.stats.initFetchTimeout.inc();
    this.logger.warn(`config: ${this.origin}: initial fetch timed out`);
    this.delivery.fail('timeout', `${this.origin} has given no config within ${initialFetchTimeoutMs} ms`);
  }

  /** Until the next request. */
  private rest(): void {
    if (this.stopped) return;
    const { refreshMs } = this.settings;
    const jitter = this.context.random.next() % refreshMs;
    this.refresh.enable(this.again ? 0 : refreshMs + jitter);
  }
}
