import { ForwardedRequest } from './forwarded-request.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** The tries of a request that are under way: one at a time, unless it is hedged. */
export abstract class Tries extends ForwardedRequest {
  /** The request's body may flow (again). */
  abstract onUpstreamWritable(): void;

  protected addTry(next: UpstreamRequest): void {
    if (this.upstream !== undefined) {
      this.others ??= [];
      this.others.push(this.upstream);
    }
    this.upstream = next;
    this.latest = next;
  }

  /** A try is over: body that was stopped for it may flow. */
  protected forget(upstream: UpstreamRequest): void {
    upstream.stopTimers();
    upstream.log?.end(upstream);
    upstream.tally?.end();
    if (this.upstream === upstream) this.upstream = this.others?.pop();
    else this.others = this.others?.filter((other) => other !== upstream);
    if (upstream.takeStop()) this.onUpstreamWritable();
  }

  /** Of all of them. */
  protected get triesHeldBytes(): number {
    let bytes = this.upstream?.heldBytes ?? 0;
    if (this.others !== undefined) for (const other of this.others) bytes += other.heldBytes;
    return bytes;
  }

  /** Ends a try whose answer nobody waits for. */
  protected giveUp(upstream: UpstreamRequest): void {
    if (upstream.cancel('local-reset')) this.clusterInfo.stats.upstreamRqTxReset.inc();
    upstream.log?.end(upstream);
    upstream.tally?.end();
  }

  /** Ends what is under way. @param before is told of each of them first */
  protected giveUpAll(before?: (upstream: UpstreamRequest) => void): void {
    const { upstream, others } = this;
    this.upstream = undefined;
    this.others = undefined;
    if (others !== undefined) {
      for (const other of others) {
        before?.(other);
        this.giveUp(other);
      }
    }
    if (upstream === undefined) return;
    before?.(upstream);
    this.giveUp(upstream);
  }

  /** The response is this try's: the others are given up. */
  protected keepOnly(upstream: UpstreamRequest): void {
    if (this.upstream !== upstream || this.others !== undefined) {
      const others = (this.others ?? []).filter((other) => other !== upstream);
      if (this.upstream !== undefined && this.upstream !== upstream) others.push(this.upstream);
      this.upstream = upstream;
      this.others = undefined;
      for (const other of others) this.giveUp(other);
    }
    if (this.latest === upstream) return;
    this.latest = upstream;
    upstream.takePlace(this.info);
  }

  /** Whether one of them may still answer. */
  protected get anyAwaitsHeaders(): boolean {
    return (
      this.upstream?.awaitingHeaders === true ||
      this.others?.some(({ awaitingHeaders }) => awaitingHeaders) === true
    );
  }
}
