import type { HostListUpdate } from '@dragoman/core';
import { writeDelta, writeFullList } from './host-list-delta.ts';
import { type HostListMessage, packContent } from './host-list-message.ts';

/** The host lists of one cluster, on main, as messages to its workers. The lists handed in must not be changed afterwards. */
export class HostListPublisher {
  private last: HostListUpdate | undefined = undefined;
  private version = 0;
  /** The whole list, kept for several workers that begin at once, until the next change. */
  private whole: HostListMessage | undefined = undefined;

  /**
   * Takes the next list.
   *
   * @returns what every worker that has the list before needs: the first time the whole list, then what changed; undefined
   * when the list is equal to the one before, and nobody needs to be told
   */
  publish(update: HostListUpdate): HostListMessage | undefined {
    const { last } = this;
    this.last = update;
    if (last === undefined) {
      this.version = 1;
      return this.full();
    }
    const content = writeDelta(last, update);
    if (content === undefined) return undefined;
    this.whole = undefined;
    const base = this.version++;
    return { version: this.version, base, content: packContent(content), ...outcomesOf(update) };
  }

  /** What a worker needs that has no list, or lost track. Undefined before the first list. */
  full(): HostListMessage | undefined {
    if (this.last === undefined) return undefined;
    this.whole ??= {
      version: this.version,
      content: packContent(writeFullList(this.last)),
      ...outcomesOf(this.last),
    };
    return this.whole;
  }
}

function outcomesOf({ outcomes }: HostListUpdate): Pick<HostListMessage, 'outcomes'> {
  return outcomes === undefined ? {} : { outcomes };
}
