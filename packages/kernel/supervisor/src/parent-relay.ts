import type { Clock, Timer } from '@dragoman/core';
import type { Epoch } from './epoch.ts';
import type { SupervisorLog } from './log.ts';
import type { ParentQuestion, StatsAnswer } from './protocol.ts';

interface Outstanding {
  readonly asker: Epoch;
  /** The asker's. */
  readonly id: number;
  readonly parent: Epoch;
  readonly timer: Timer;
  /** The asker was answered without stats: those that come now are told in addition. */
  late: boolean;
}

/** Carries an epoch's questions to its parent and the answers back. */
export class ParentRelay {
  private readonly clock: Clock;
  private readonly log: SupervisorLog;
  private readonly timeoutMs: number;
  /** By the id under which the parent was asked. */
  private readonly outstanding = new Map<number, Outstanding>();
  private lastId = 0;

  /** @param timeoutMs a parent that hangs must not keep the next epoch from starting: it is answered without stats then */
  constructor(clock: Clock, log: SupervisorLog, timeoutMs: number) {
    this.clock = clock;
    this.log = log;
    this.timeoutMs = timeoutMs;
  }

  ask(asker: Epoch, { kind, id }: ParentQuestion): void {
    const { parent } = asker;
    if (parent === undefined) {
      asker.send({ kind: 'parent-answer', id, stats: undefined, final: false, gone: true });
      return;
    }
    const ownId = ++this.lastId;
    if (!parent.send({ kind, id: ownId })) {
      asker.send({ kind: 'parent-answer', id, stats: undefined, final: false, gone: false });
      return;
    }
    const timer = this.clock.timer(() => {
      this.log('warning', `${parent.text} has not answered "${kind}" within ${this.timeoutMs} ms`);
      question.late = true;
      asker.send({ kind: 'parent-answer', id, stats: undefined, final: false, gone: false });
    });
    const question: Outstanding = { asker, id, parent, timer, late: false };
    timer.enable(this.timeoutMs);
    this.outstanding.set(ownId, question);
  }

  answered(parent: Epoch, { id, stats }: StatsAnswer): void {
    if (this.outstanding.get(id)?.parent === parent) this.settle(id, stats, false);
  }

  /** An epoch is gone, and `heirs` are those that have it as their parent. */
  ended(epoch: Epoch, heirs: Iterable<Epoch>): void {
    const grandparent = epoch.parent;
    for (const [id, { asker, parent, timer, late }] of this.outstanding) {
      if (asker === epoch || (parent === epoch && late)) {
        timer.disable();
        this.outstanding.delete(id);
      } else if (parent === epoch) {
        this.settle(id, epoch.finalStats, grandparent === undefined);
        epoch.finalStats = undefined;
      }
    }
    for (const heir of heirs) {
      heir.parent = grandparent;
      heir.send({ kind: 'parent-gone', stats: epoch.finalStats, another: grandparent !== undefined });
    }
    epoch.finalStats = undefined;
    epoch.parent = undefined;
  }

  private settle(ownId: number, stats: unknown, final: boolean): void {
    const { asker, id, timer } = this.outstanding.get(ownId) as Outstanding;
    this.outstanding.delete(ownId);
    timer.disable();
    asker.send({ kind: 'parent-answer', id, stats, final, gone: false });
  }
}
