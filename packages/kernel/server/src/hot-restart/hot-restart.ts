import type { Clock, Logger } from '@dragoman/core';
import type { SupervisorLink } from '@dragoman/supervisor';
import { PROTOCOL_VERSION } from '@dragoman/supervisor';
import type { HotRestartInfo } from '../admin-state.ts';
import type { ServerStats } from '../server-stats.ts';
import type { StatsStore } from '@dragoman/stats';
import { CounterExport, StatsImport, type TransferredStats } from './stats-transfer.ts';

/** What a process without a supervisor says. */
export const HOT_RESTART_DISABLED: HotRestartInfo = { version: 'disabled', uptimeBeforeMs: 0 };

/** In Envoy's form, `protocol.something`: processes whose versions are equal can take over from one another. */
export const HOT_RESTART_VERSION = `${PROTOCOL_VERSION}.0`;

/** What the supervisor has a proxy do. */
export interface Handover {
  closeAdmin(): Promise<void>;
  openAdmin(): Promise<void>;
  /** The next process serves: drain and end. */
  drain(): void;
  /** End now. */
  quit(): void;
}

export interface HotRestartParts {
  readonly stats: StatsStore;
  readonly serverStats: ServerStats;
  readonly activeConnections: () => number;
  readonly context: { readonly clock: Clock };
  readonly log: { logger(name: string): Logger };
  readonly flags: { readonly skipParentStats: boolean };
}

/** A proxy's part in hot restarts: it takes over from the process before it (its parent), and hands over to the next. */
export class HotRestart implements HotRestartInfo {
  readonly version = HOT_RESTART_VERSION;
  /** Of the parent, as last told. */
  parentConnections = 0;
  uptimeBeforeMs = 0;
  private readonly link: SupervisorLink;
  private readonly parts: HotRestartParts;
  private readonly startedAt: number;
  private readonly exported: CounterExport;
  private generation = 1;
  private imported: StatsImport | undefined = undefined;
  /** There is a process before this one that counts, or there was one that has not been heard of since. */
  private parentLives = false;
  /** Settles when the parent's answer is there. */
  private asked: Promise<void> | undefined = undefined;
  /** The next process has the admin interface, unless it has failed: settles when it is closed here. */
  private adminGiven: Promise<void> | undefined = undefined;

  constructor(link: SupervisorLink, parts: HotRestartParts) {
    this.link = link;
    this.parts = parts;
    this.startedAt = parts.context.clock.now();
    this.exported = new CounterExport(parts.stats);
    parts.serverStats.hotRestartEpoch.set(link.epoch);
    link.onParentGone = (stats, another) => this.onParentGone(stats, another);
    link.onLateStats = (stats) => this.note(stats);
    link.onDisconnect = () =>
      parts.log
        .logger('main')
        .error('the supervisor is gone: this process serves on, and there will be no hot restart');
  }

  /** Whether there is a process to take over from. */
  get hasParent(): boolean {
    return this.link.epoch > 0;
  }

  /** From now on the next process can take over. */
  serve(handover: Handover): void {
    const { link } = this;
    link.onAdminTakeover = async () => {
      const closed = handover.closeAdmin();
      this.adminGiven = closed;
      await closed;
      // Who asked may have failed meanwhile; what is told it would be lost for the next one.
      return this.adminGiven === closed ? this.takeStats() : undefined;
    };
    link.onParentStats = () => this.takeStats();
    link.onDrain = () => handover.drain();
    link.onTerminate = () => {
      this.parts.log.logger('main').warn('the time for draining is over: ending');
      handover.quit();
    };
    link.onResume = () => {
      this.exported.forget();
      this.parts.log.logger('main').warn('the process that was to take over has failed: serving on');
      const given = this.adminGiven;
      if (given === undefined) return;
      this.adminGiven = undefined;
      given
        .then(() => handover.openAdmin())
        .catch((error: unknown) => {
          this.parts.log.logger('admin').error(`cannot open the admin interface again: ${String(error)}`);
        });
    };
  }

  /** Has the parent close its admin interface and takes over what it has counted. */
  async takeOver(): Promise<void> {
    this.parentLives = true;
    this.note(await this.link.takeOverAdmin());
  }

  live(): void {
    this.link.live();
  }

  /** Asks the parent what it has counted since. */
  refresh(): void {
    if (!this.parentLives || this.asked !== undefined) return;
    this.asked = this.askParent().finally(() => {
      this.asked = undefined;
    });
  }

  private async askParent(): Promise<void> {
    const answer = await this.link.parentStats();
    if (answer !== undefined) this.note(answer.stats);
    if (answer === undefined || answer.final) this.forgetParent();
  }

  /** The last of what was counted, for the process that has taken over. */
  async exiting(): Promise<void> {
    // What the parent has answered it does not tell again: it goes with the rest.
    await this.asked;
    await this.link.exiting(this.takeStats());
  }

  private takeStats(): TransferredStats {
    const { activeConnections, context } = this.parts;
    return {
      ...this.exported.take(),
      connections: activeConnections(),
      uptimeMs: context.clock.now() - this.startedAt + this.uptimeBeforeMs,
      generation: this.generation,
    };
  }

  private note(stats: unknown): void {
    if (stats === undefined) return;
    const told = stats as TransferredStats;
    const { serverStats, context } = this.parts;
    if (this.imported === undefined) {
      this.imported = new StatsImport(this.parts.stats);
      this.uptimeBeforeMs = Math.max(0, told.uptimeMs - (context.clock.now() - this.startedAt));
      this.generation = told.generation + 1;
      serverStats.hotRestartGeneration.set(this.generation);
      serverStats.uptimeBeforeMs = this.uptimeBeforeMs;
    }
    if (!this.parts.flags.skipParentStats) this.imported.add(told);
    this.parentConnections = told.connections;
  }

  private onParentGone(stats: unknown, another: boolean): void {
    this.note(stats);
    if (!another) this.forgetParent();
  }

  private forgetParent(): void {
    this.parentLives = false;
    this.imported?.end();
    this.imported = undefined;
    this.parentConnections = 0;
  }
}
