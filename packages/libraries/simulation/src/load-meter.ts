/** The load of a host over the last whole window, as it reports it (ORCA). */
export class LoadMeter {
  private since: number;
  private changedAt: number;
  private busyMs = 0;
  private answers = 0;
  private errors = 0;
  /** Of the window before. */
  private report: string | undefined = undefined;

  private readonly windowMs: number;
  private readonly servers: number;

  /**
   * @param windowMs over how long the load is taken, milliseconds
   * @param servers all of them at work: a utilization of 1
   */
  constructor(now: number, windowMs: number, servers: number) {
    this.windowMs = windowMs;
    this.servers = servers;
    this.since = now;
    this.changedAt = now;
  }

  /** Before the number of busy servers changes. */
  onBusy(now: number, busy: number): void {
    this.busyMs += (now - this.changedAt) * busy;
    this.changedAt = now;
    const span = now - this.since;
    if (span < this.windowMs) return;
    this.report = this.answers === 0 ? undefined : this.textOf(span);
    this.since = now;
    this.busyMs = 0;
    this.answers = 0;
    this.errors = 0;
  }

  onAnswer(well: boolean): void {
    this.answers++;
    if (!well) this.errors++;
  }

  /** The value of `endpoint-load-metrics`; undefined before the end of the first window, and after one without requests. */
  get text(): string | undefined {
    return this.report;
  }

  private textOf(span: number): string {
    const utilization = (this.busyMs / span / this.servers).toFixed(4);
    const perSecond = (count: number): string => ((count * 1000) / span).toFixed(2);
    return `TEXT application_utilization=${utilization},rps_fractional=${perSecond(this.answers)},eps=${perSecond(this.errors)}`;
  }
}
