/** The load of a host over the last whole window, as it reports it (ORCA). */
export class LoadMeter {
  private since: number;
  private changedAt: number;
  private busyMs = 0;
  private answers = 0;
  private errors = 0;
  /** Of the window before. */
  private utilization = 0;
  private perSecond = 0;
  private errorsPerSecond = 0;

  private readonly windowMs: number;

  /** @param windowMs over how long the load is taken, milliseconds */
  constructor(now: number, windowMs: number) {
    this.windowMs = windowMs;
    this.since = now;
    this.changedAt = now;
  }

  /** Before the number of busy servers changes. */
  onBusy(now: number, busy: number): void {
    this.busyMs += (now - this.changedAt) * busy;
    this.changedAt = now;
    const span = now - this.since;
    if (span < this.windowMs) return;
    this.utilization = this.busyMs / span;
    this.perSecond = (this.answers * 1000) / span;
    this.errorsPerSecond = (this.errors * 1000) / span;
    this.since = now;
    this.busyMs = 0;
    this.answers = 0;
    this.errors = 0;
  }

  onAnswer(well: boolean): void {
    this.answers++;
    if (!well) this.errors++;
  }

  /** The value of `endpoint-load-metrics`; undefined before the end of the first window, and of one without requests. */
  text(servers: number): string | undefined {
    if (this.perSecond === 0) return undefined;
    const utilization = (this.utilization / servers).toFixed(4);
    return `TEXT application_utilization=${utilization},rps_fractional=${this.perSecond.toFixed(2)},eps=${this.errorsPerSecond.toFixed(2)}`;
  }
}
