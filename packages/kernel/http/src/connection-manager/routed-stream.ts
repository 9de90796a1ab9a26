import type {
  Cancellable,
  ForwardAction,
  Protocol,
  RequestHeaders,
  Route,
  RouteMiss,
  RouteTable,
} from '@dragoman/core';
import type { CompiledFilterChain } from './filter-chain.ts';
import { streamDuration } from './stream-duration.ts';
import type { StreamOwner } from './stream-owner.ts';
import { StreamRecord } from './stream-record.ts';
import type { StreamTimers, TimedStream } from './stream-timers.ts';
import { upgradeChain } from './upgrades.ts';

/** The route of a stream, and what follows from it: timeouts, limits, and the filters of an upgrade. */
export abstract class RoutedStream extends StreamRecord implements TimedStream {
  protected readonly timers: StreamTimers;
  protected idleTimeoutMs: number;
  /** When the idle timer began, where overload may shorten it while it runs. */
  private touchedAt = 0;
  chain: CompiledFilterChain;
  /** An upgrade, or CONNECT, was let through. */
  protected upgrading = false;
  /** The one that was in place when the request came. */
  protected routes: RouteTable;
  protected cachedRoute: Route | undefined = undefined;
  private routeKnown = false;
  /** A filter has had the route looked for anew. */
  private routeChanges = false;

  constructor(owner: StreamOwner, protocol: Protocol, previous: StreamRecord | undefined) {
    super(owner, protocol, previous);
    const { config } = owner;
    this.chain = config.chain;
    this.routes = config.routes.current;
    this.idleTimeoutMs = config.streamIdleTimeoutMs;
    this.timers = owner.takeTimers(this);
    this.touch();
    if (config.requestTimeoutMs > 0) this.timers.request.enable(config.requestTimeoutMs);
    if (config.maxStreamDurationMs > 0) this.timers.maxDuration.enable(config.maxStreamDurationMs);
    if (config.accessLogTimes.intervalMs > 0) this.timers.enableLogInterval(config.accessLogTimes.intervalMs);
  }

  /** Bytes of a body that filters may hold. */
  abstract bufferLimit: number;
  abstract onStreamIdle(): void;
  abstract onRequestTimeout(): void;
  abstract onMaxDuration(): void;

  get route(): Route | undefined {
    if (!this.routeKnown) this.lookUpRoute();
    return this.cachedRoute;
  }

  routeMiss(): RouteMiss | undefined {
    return this.routes.miss?.(this.requestHeaders, this.info, this.config.random.next());
  }

  clearRouteCache(): void {
    this.routeKnown = false;
    this.routeChanges = true;
    this.cachedRoute = undefined;
  }

  /** @param filterName whose configs they are */
  perRouteConfigOf<T>(filterName: string): T | undefined {
    return this.route?.perFilterConfigs(filterName)[0] as T | undefined;
  }

  /** The least specific first. */
  perRouteConfigsOf<T>(filterName: string): readonly T[] {
    return [...(this.route?.perFilterConfigs(filterName) ?? [])].reverse() as T[];
  }

  findRoute(headers: RequestHeaders): Route | undefined {
    if (this.config.checkPath(headers) !== 'continue') return undefined;
    this.config.rewriteHost?.(headers, this.owner.localPort);
    return this.routes.match(headers, this.info, this.config.random.next());
  }

  demandRoute(onAnswer: (found: boolean) => void): Cancellable | undefined {
    if (this.finished) return undefined;
    return this.routes.demand?.(this.requestHeaders, (found) => {
      if (this.finished) return;
      // What has come is in the table that is in place now.
      this.routes = this.config.routes.current;
      this.clearRouteCache();
      onAnswer(found && this.route !== undefined);
    });
  }

  onLogInterval(): void {
    if (this.finished) return;
    this.owner.sampleBytes(this.info, this.encoder.meter);
    this.writeLogs('DownstreamPeriodic');
    this.timers.enableLogInterval(this.config.accessLogTimes.intervalMs);
  }

  protected touch(): void {
    if (this.idleTimeoutMs <= 0) return;
    const { overload } = this.config;
    if (overload?.streamIdle === undefined) {
      this.timers.idle.enable(this.idleTimeoutMs);
      return;
    }
    this.touchedAt = this.config.clock.now();
    this.timers.idle.enable(overload.streamIdle.scale(this.idleTimeoutMs));
  }

  /** Overload shortens the timeout by more, or by less, than it did. */
  rescaleIdle(): void {
    const { idle } = this.timers;
    const { overload, clock } = this.config;
    if (overload?.streamIdle === undefined || !idle.enabled) return;
    idle.enable(Math.max(0, this.touchedAt + overload.streamIdle.scale(this.idleTimeoutMs) - clock.now()));
  }

  private lookUpRoute(): void {
    const { config, info, requestHeaders } = this;
    this.routeKnown = true;
    const route = this.hasRequest ? this.routes.match(requestHeaders, info, config.random.next()) : undefined;
    this.cachedRoute = route;
    info.route = route;
    if (this.routeChanges && route?.action.kind === 'forward' && !this.finished)
      this.adoptRoute(route.action);
  }

  /** A route may have timeouts of its own, and keep more of a body. */
  protected adoptRoute(action: ForwardAction): void {
    const { timers, config } = this;
    const { idleTimeoutMs, maxStreamDurationMs, policies } = action;
    const keep = policies.requestBodyBufferLimitBytes;
    if (keep !== undefined && keep > this.bufferLimit) this.bufferLimit = keep;
    if (idleTimeoutMs !== undefined) {
      this.idleTimeoutMs = idleTimeoutMs;
      if (idleTimeoutMs > 0) this.touch();
      else timers.idle.disable();
    }
    // Without a word on it the timer runs as the connection manager says, unless another route had its say.
    if (!this.routeChanges && maxStreamDurationMs === undefined && policies.grpcTimeout === undefined) return;
    const ms = streamDuration(this.requestHeaders, action, config.maxStreamDurationMs);
    if (ms === undefined) timers.maxDuration.disable();
    else timers.maxDuration.enable(Math.max(0, ms - (config.clock.now() - this.info.start)));
  }

  /** Takes the filter chain of an upgrade. Without a route there is nothing to say about it: the request ends as others do. */
  protected mayUpgrade(type: string): boolean {
    const { config, route } = this;
    const chain = upgradeChain(type, config.upgrades, route, config.chain);
    if (chain === undefined) {
      if (route === undefined) return true;
      config.stats.rqWsOnNonWsRoute.inc();
      return false;
    }
    this.chain = chain;
    this.upgrading = true;
    config.stats.cxUpgradesTotal.inc();
    config.stats.cxUpgradesActive.inc();
    return true;
  }
}
