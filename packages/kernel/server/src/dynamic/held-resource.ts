import { type DescMessage, type Message, toBinary } from '@dragoman/api';
import type { ConfigUpdate } from '@dragoman/core';
import { HeldBase } from './held-base.ts';
import { type FoundReference, referencesIn } from './references.ts';
import { Refusals } from './refusals.ts';
import type { Hold, KnownResource } from './resource-book.ts';

/** One resource by its name. */
export class HeldResource extends HeldBase<FoundReference> implements KnownResource {
  message: Message | undefined = undefined;
  version = '';
  updatedAt: number | undefined = undefined;
  /** What {@link message} itself names. */
  private nested: Hold | undefined = undefined;
  /** What the version names that is on its way. */
  private incoming: Hold | undefined = undefined;

  get type(): FoundReference['type'] {
    return this.reference.type;
  }

  get name(): string {
    return this.reference.name;
  }

  get resources(): readonly KnownResource[] {
    return [this];
  }

  override stop(): void {
    super.stop();
    this.nested?.release();
    this.nested = undefined;
    this.incoming?.release();
  }

  covers(type: DescMessage, name: string): boolean {
    return type.typeName === this.type.typeName && name === this.name;
  }

  check(_name: string, message: Message): Promise<void> {
    return this.checkOrder({ key: this.key, value: toBinary(this.type, message) });
  }

  protected async onUpdate({ changed, removed, versionInfo }: ConfigUpdate): Promise<void> {
    const found = changed.find(
      ({ name, aliases }) => name === this.name || aliases?.includes(this.name) === true,
    );
    try {
      if (found !== undefined) await this.put(found.message, found.version || versionInfo);
      else if (removed.includes(this.name)) await this.remove();
    } finally {
      this.arrived();
    }
  }

  private async put(message: Message, version: string): Promise<void> {
    const { wallTime } = this.options;
    let nested: Hold | undefined;
    try {
      nested = this.book.holdAll(referencesIn(message, this.type, this.reference.managerPrefix), this);
      this.incoming = nested;
      await this.whenReady([nested]);
      await this.distribute({ key: this.key, value: toBinary(this.type, message) });
    } catch (error) {
      nested?.release();
      this.failure = { message, version, details: (error as Error).message, at: wallTime() };
      const refusals = new Refusals();
      refusals.add(this.name, error);
      refusals.throwIfAny();
    }
    if (this.stopped) {
      nested?.release();
      return;
    }
    this.nested?.release();
    this.nested = nested;
    this.message = message;
    this.version = version;
    this.updatedAt = wallTime();
    this.failure = undefined;
  }

  private async remove(): Promise<void> {
    if (!(await this.distribute({ key: this.key, value: undefined }))) return;
    this.nested?.release();
    this.nested = undefined;
    this.message = undefined;
    this.version = '';
    this.updatedAt = undefined;
    this.failure = undefined;
  }
}
