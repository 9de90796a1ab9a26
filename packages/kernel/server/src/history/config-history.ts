import { createHmac, randomBytes } from 'node:crypto';
import { redact } from '@dragoman/admin';
import {
  clone,
  type DescMessage,
  equals,
  fromBinary,
  type Message,
  SecretSchema,
  toBinary,
} from '@dragoman/api';

/** What became of a version. */
export type Outcome = 'accepted' | 'rejected' | 'removed';

/** A version of a resource, as it was delivered. */
export interface Delivery {
  readonly type: DescMessage;
  readonly name: string;
  /** Where it came from, such as `ads`. */
  readonly source: string;
  readonly version: string;
  readonly outcome: Outcome;
  /** Undefined of what was removed, and of what could not be read. */
  readonly message: Message | undefined;
  /** Why it was rejected. */
  readonly reason?: string | undefined;
}

/** The same as before, delivered again. */
export interface Repetition {
  readonly times: number;
  /** The last one's. */
  readonly version: string;
  /** Wall time in ms of the last one. */
  readonly at: number;
}

/** One entry of the history. */
export interface HistoryEntry extends Omit<Delivery, 'message'> {
  /** Counts up over all resources. */
  readonly number: number;
  /** Wall time in ms. */
  readonly at: number;
  readonly again: Repetition | undefined;
  /** Without what is secret in it; undefined where there is none. */
  message(): Message | undefined;
  /** What was in use before it; undefined: nothing was, or it is not kept any more. */
  readonly before: HistoryEntry | undefined;
}

export interface ConfigHistoryOptions {
  /** Wall time in ms. */
  readonly wallTime: () => number;
  /** Versions of each resource, at most; 0: nothing is kept. Default 20. */
  readonly versions?: number;
  /** Of all versions that are not in use, in their serialised size, at most. Default 16 MiB. */
  readonly maxBytes?: number;
}

export const DEFAULT_VERSIONS = 20;
const DEFAULT_BYTES = 16 * 1024 * 1024;
/** What an entry takes besides its config. */
const ENTRY_BYTES = 400;
/** As much as a control plane is told. */
const MAX_REASON = 4096;
/** Types in which nothing is secret. They change often, and are large. */
const NOTHING_SECRET = new Set([
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'envoy.config.endpoint.v3.LbEndpoint',
  'envoy.service.runtime.v3.Runtime',
  'envoy.config.route.v3.ScopedRouteConfiguration',
]);

class Entry implements HistoryEntry {
  readonly number: number;
  readonly at: number;
  readonly type: DescMessage;
  readonly name: string;
  readonly source: string;
  readonly version: string;
  readonly outcome: Outcome;
  readonly reason: string | undefined;
  again: Repetition | undefined = undefined;
  before: Entry | undefined;
  /** In use: the config itself, which is somebody else's. */
  current: Message | undefined = undefined;
  /** No longer, or never: without secrets. */
  stored: Uint8Array | undefined = undefined;
  /** Tells versions of a message apart that is not kept as it was. */
  fingerprint: string | undefined = undefined;

  constructor(delivery: Delivery, number: number, at: number, before: Entry | undefined) {
    this.number = number;
    this.at = at;
    this.type = delivery.type;
    this.name = delivery.name;
    this.source = delivery.source;
    this.version = delivery.version;
    this.outcome = delivery.outcome;
    this.reason = delivery.reason?.slice(0, MAX_REASON);
    this.before = before;
  }

  get bytes(): number {
    return ENTRY_BYTES + this.name.length + (this.reason?.length ?? 0) + (this.stored?.length ?? 0);
  }

  message(): Message | undefined {
    if (this.stored !== undefined) return fromBinary(this.type, this.stored);
    return this.current === undefined ? undefined : withoutSecrets(this.type, this.current);
  }
}

/** The versions of one resource of one source, oldest first. */
interface Resource {
  readonly key: string;
  entries: Entry[];
  /** In use. */
  current: Entry | undefined;
}

/**
 * The last versions of everything that config sources have delivered, taken over or not. What is in use costs next to nothing; what was is kept
 * serialised and without secrets, within a bound over all.
 */
export class ConfigHistory {
  private readonly options: ConfigHistoryOptions;
  private readonly versions: number;
  private readonly maxBytes: number;
  private readonly resources = new Map<string, Resource>();
  /** Everything, oldest first. */
  private readonly all = new Map<number, { readonly entry: Entry; readonly resource: Resource }>();
  private readonly fingerprintKey = randomBytes(32);
  private lastNumber = 0;
  private bytes = 0;

  constructor(options: ConfigHistoryOptions) {
    this.options = options;
    this.versions = options.versions ?? DEFAULT_VERSIONS;
    this.maxBytes = options.maxBytes ?? DEFAULT_BYTES;
  }

  /** Oldest first. */
  get entries(): Iterable<HistoryEntry> {
    return Array.from(this.all.values(), ({ entry }) => entry);
  }

  /** What is in use is not counted in full: it is there anyway. */
  get size(): number {
    return this.bytes;
  }

  record(delivery: Delivery): void {
    if (this.versions === 0) return;
    const key = `${delivery.type.typeName} ${delivery.source} ${delivery.name}`;
    const known = this.resources.get(key);
    const last = known?.entries.at(-1);
    if (delivery.outcome === 'removed' && known?.current === undefined) return;
    const at = this.options.wallTime();
    if (last !== undefined && this.isSame(last, delivery)) {
      if (delivery.version !== (last.again?.version ?? last.version) || delivery.outcome === 'rejected')
        last.again = { times: (last.again?.times ?? 0) + 1, version: delivery.version, at };
      return;
    }
    const resource = known ?? { key, entries: [], current: undefined };
    const entry = new Entry(delivery, ++this.lastNumber, at, resource.current);
    this.fill(entry, delivery.message);
    if (delivery.outcome !== 'rejected') {
      this.retire(resource);
      if (delivery.outcome === 'accepted') resource.current = entry;
    }
    resource.entries.push(entry);
    this.resources.set(key, resource);
    this.all.set(entry.number, { entry, resource });
    this.bytes += entry.bytes;
    if (resource.entries.length > this.versions) this.forgetOldest(resource);
    this.shrink(entry, resource);
  }

  private isSame(last: Entry, { type, outcome, message, reason }: Delivery): boolean {
    if (last.outcome !== outcome || last.reason !== reason?.slice(0, MAX_REASON)) return false;
    if (message === undefined) return last.current === undefined && last.fingerprint === undefined;
    if (last.current === message) return true;
    if (last.fingerprint !== undefined) return last.fingerprint === this.fingerprint(type, message);
    return last.current !== undefined && equals(type, last.current, message);
  }

  private fill(entry: Entry, message: Message | undefined): void {
    if (message === undefined) return;
    const { type } = entry;
    if (entry.outcome === 'accepted' && type.typeName !== SecretSchema.typeName) {
      entry.current = message;
      return;
    }
    entry.fingerprint = this.fingerprint(type, message);
    entry.stored = toBinary(type, withoutSecrets(type, message));
  }

  /** It is in use no longer. */
  private retire(resource: Resource): void {
    const { current: entry } = resource;
    resource.current = undefined;
    if (entry?.current === undefined) return;
    const before = entry.bytes;
    entry.stored = toBinary(entry.type, withoutSecrets(entry.type, entry.current));
    entry.current = undefined;
    this.bytes += entry.bytes - before;
  }

  /** With a key of its own: nobody can try secrets against it. */
  private fingerprint(type: DescMessage, message: Message): string {
    return createHmac('sha256', this.fingerprintKey).update(toBinary(type, message)).digest('base64');
  }

  private forgetOldest(resource: Resource): void {
    const oldest = resource.entries.find((entry) => entry !== resource.current);
    if (oldest !== undefined) this.forget(oldest, resource);
  }

  /** The oldest that is not in use goes first. Where everything is in use, what has come last is not kept. */
  private shrink(newest: Entry, its: Resource): void {
    if (this.bytes <= this.maxBytes) return;
    for (const { entry, resource } of this.all.values()) {
      if (this.bytes <= this.maxBytes) return;
      if (entry !== resource.current) this.forget(entry, resource);
    }
    if (this.bytes > this.maxBytes && this.all.has(newest.number)) this.forget(newest, its);
  }

  private forget(entry: Entry, resource: Resource): void {
    this.all.delete(entry.number);
    this.bytes -= entry.bytes;
    resource.entries = resource.entries.filter((one) => one !== entry);
    for (const one of resource.entries) if (one.before === entry) one.before = undefined;
    if (resource.current === entry) resource.current = undefined;
    if (resource.entries.length === 0) this.resources.delete(resource.key);
  }
}

function withoutSecrets(type: DescMessage, message: Message): Message {
  if (NOTHING_SECRET.has(type.typeName)) return message;
  const copy = clone(type, message);
  redact(copy);
  return copy;
}
