/**
 * Well-known headers: names that the data plane asks for on every message. Each has a bit, so that "is it there?",
 * nearly always answered no, costs one AND. Order fixes the bit numbers; at most 62 (two 31-bit masks).
 */
const WELL_KNOWN = [
  // Asked on every request or response.
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'content-type',
  'user-agent',
  'server',
  'date',
  'via',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-client-cert',
  'x-envoy-upstream-service-time',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-attempt-count',
  'x-envoy-internal',
  'x-envoy-external-address',
  'x-envoy-original-path',
  'x-envoy-overloaded',
  'x-envoy-immediate-health-check-fail',
  'x-envoy-is-timeout-retry',
  'x-envoy-decorator-operation',
  'x-envoy-upstream-canary',
  // Second mask.
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-force-trace',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-ip-tags',
  'x-envoy-max-retries',
  'x-envoy-original-host',
  'x-envoy-retriable-header-names',
  'x-envoy-retriable-status-codes',
  'x-envoy-retry-grpc-on',
  'x-envoy-retry-on',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-stream-duration-ms',
  'x-client-trace-id',
  'grpc-status',
  'grpc-message',
  'grpc-timeout',
  'location',
  'cookie',
  'set-cookie',
  'accept-encoding',
  'content-encoding',
  'x-envoy-degraded',
  'x-envoy-ratelimited',
] as const;

export type WellKnownHeader = (typeof WELL_KNOWN)[number];

/**
 * Spells the header names of one message on HTTP/1 (Envoy: stateful header formatter). The codec that reads the message
 * makes it, and the one that writes the message asks it.
 */
export interface HeaderNameFormatter {
  /** Takes note of a name as it came, in the order of the lines. */
  remember(name: string): void;
  /** How the message writes `name` (in lower case) when it goes on: the same letters, in any case. */
  format(name: string): string;
  /** The reason phrase that the response goes on with; empty: the standard one of its status. Set by the codec. */
  reasonPhrase: string;
}

const MASK_BITS = 31;

/** Name → bit number, for {@link HeaderMap} and for parsers that intern names while they read them. */
export const WELL_KNOWN_IDS: ReadonlyMap<string, number> = new Map(WELL_KNOWN.map((name, id) => [name, id]));

/** Bit number → name. */
export const WELL_KNOWN_NAMES: readonly string[] = WELL_KNOWN;

/** The bit number of a well-known header, resolved once at load: `const ID_TE = wellKnownId('te')`. */
export function wellKnownId(name: WellKnownHeader): number {
  return WELL_KNOWN.indexOf(name);
}

/** The id of a name that is not well known. */
export const NOT_WELL_KNOWN = -1;

/**
 * Headers in their order, duplicates kept, names in lower case. Values are strings of bytes (latin1): what came in
 * goes out unchanged. Pseudo-headers (`:path`, `:status`, …) are fields of the subclasses, and answer to
 * {@link get} and its kin by their names, but do not stand in the list.
 */
export class HeaderMap {
  /** Parallel arrays, public for codecs and formatters to walk; change them only through the methods. */
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** Bit number of each name, or {@link NOT_WELL_KNOWN}. */
  readonly ids: number[] = [];
  /** Set by a codec that was told to. */
  nameFormatter: HeaderNameFormatter | undefined = undefined;
  private maskLow = 0;
  private maskHigh = 0;

  /** The number of header lines. */
  get size(): number {
    return this.names.length;
  }

  /** For parsers: appends a name already lowered and resolved (`id` from {@link WELL_KNOWN_IDS}, or −1). */
  appendParsed(name: string, id: number, value: string): void {
    this.names.push(name);
    this.values.push(value);
    this.ids.push(id);
    if (id >= 0) this.mark(id);
  }

  /** Adds a line after the others. `name` must be in lower case. */
  append(name: string, value: string): void {
    if (this.setPseudo(name, value)) return;
    this.appendParsed(name, WELL_KNOWN_IDS.get(name) ?? NOT_WELL_KNOWN, value);
  }

  /** Adds a well-known header by its id. */
  appendKnown(id: number, value: string): void {
    this.appendParsed(WELL_KNOWN[id] as string, id, value);
  }

  /** Replaces every line of this name by one (in the first one's place), or appends it. */
  set(name: string, value: string): void {
    if (this.setPseudo(name, value)) return;
    const id = WELL_KNOWN_IDS.get(name) ?? NOT_WELL_KNOWN;
    if (id >= 0) this.setKnown(id, value);
    else this.replaceOrAppend(name, id, value);
  }

  /** {@link set} for a well-known header by its id. */
  setKnown(id: number, value: string): void {
    if (!this.hasKnown(id)) this.appendKnown(id, value);
    else this.replaceOrAppend(WELL_KNOWN[id] as string, id, value);
  }

  /** The first value of `name` (lower case; pseudo-headers too), or undefined. */
  get(name: string): string | undefined {
    if (name.charCodeAt(0) === COLON) return this.getPseudo(name);
    const id = WELL_KNOWN_IDS.get(name);
    if (id !== undefined) return this.getKnown(id);
    const index = this.names.indexOf(name);
    return index < 0 ? undefined : this.values[index];
  }

  /** The first value of a well-known header. */
  getKnown(id: number): string | undefined {
    if (!this.hasKnown(id)) return undefined;
    return this.values[this.ids.indexOf(id)];
  }

  hasKnown(id: number): boolean {
    return id < MASK_BITS
      ? (this.maskLow & (1 << id)) !== 0
      : (this.maskHigh & (1 << (id - MASK_BITS))) !== 0;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Every value of `name`, in order; empty when there is none. */
  getAll(name: string): string[] {
    if (name.charCodeAt(0) === COLON) {
      const value = this.getPseudo(name);
      return value === undefined ? [] : [value];
    }
    const found: string[] = [];
    for (let i = 0; i < this.names.length; i++)
      if (this.names[i] === name) found.push(this.values[i] as string);
    return found;
  }

  /** Every value of `name` joined with a comma (RFC 9110 section 5.3), or undefined. The usual case, one line, copies nothing. */
  getJoined(name: string): string | undefined {
    if (name.charCodeAt(0) === COLON) return this.getPseudo(name);
    const first = this.names.indexOf(name);
    if (first < 0) return undefined;
    if (this.names.indexOf(name, first + 1) < 0) return this.values[first];
    return this.getAll(name).join(',');
  }

  /** Removes every line of `name`; says how many there were. */
  remove(name: string): number {
    if (name.charCodeAt(0) === COLON) return 0;
    const id = WELL_KNOWN_IDS.get(name);
    if (id !== undefined && !this.hasKnown(id)) return 0;
    return this.removeWhere((candidate) => candidate === name);
  }

  /** {@link remove} for a well-known header: free of cost when it is absent. */
  removeKnown(id: number): void {
    if (!this.hasKnown(id)) return;
    const name = WELL_KNOWN[id];
    this.removeWhere((candidate) => candidate === name);
  }

  /** Removes every line for which `drop` says so; says how many there were. */
  removeWhere(drop: (name: string, value: string) => boolean): number {
    const { names, values, ids } = this;
    let kept = 0;
    this.maskLow = 0;
    this.maskHigh = 0;
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      const value = values[i] as string;
      if (drop(name, value)) continue;
      const id = ids[i] as number;
      names[kept] = name;
      values[kept] = value;
      ids[kept] = id;
      if (id >= 0) this.mark(id);
      kept++;
    }
    const removed = names.length - kept;
    names.length = kept;
    values.length = kept;
    ids.length = kept;
    return removed;
  }

  /** Calls `visit` for each pseudo-header and then each line, in order. */
  forEach(visit: (name: string, value: string) => void): void {
    this.forEachPseudo(visit);
    for (let i = 0; i < this.names.length; i++) visit(this.names[i] as string, this.values[i] as string);
  }

  /** Bytes of names and values, as Envoy counts header sizes (pseudo-headers included). */
  byteSize(): number {
    let size = 0;
    this.forEach((name, value) => {
      size += name.length + value.length;
    });
    return size;
  }

  /** Name–value pairs, pseudo-headers first. For tests, dumps and logs. */
  entries(): [string, string][] {
    const list: [string, string][] = [];
    this.forEach((name, value) => {
      list.push([name, value]);
    });
    return list;
  }

  /** Copies the lines (not the pseudo-headers) of `other` behind this map's own. */
  appendAll(other: HeaderMap): void {
    for (let i = 0; i < other.names.length; i++) {
      this.appendParsed(other.names[i] as string, other.ids[i] as number, other.values[i] as string);
    }
  }

  protected getPseudo(_name: string): string | undefined {
    return undefined;
  }

  /** Takes a pseudo-header; false when `name` is not one. A pseudo-header this map does not have is dropped. */
  protected setPseudo(name: string, _value: string): boolean {
    return name.charCodeAt(0) === COLON;
  }

  protected forEachPseudo(_visit: (name: string, value: string) => void): void {}

  private mark(id: number): void {
    if (id < MASK_BITS) this.maskLow |= 1 << id;
    else this.maskHigh |= 1 << (id - MASK_BITS);
  }

  private replaceOrAppend(name: string, id: number, value: string): void {
    const first = this.names.indexOf(name);
    if (first < 0) {
      this.appendParsed(name, id, value);
      return;
    }
    this.values[first] = value;
    if (this.names.indexOf(name, first + 1) < 0) return;
    let seen = false;
    this.removeWhere((candidate) => {
      if (candidate !== name) return false;
      if (!seen) {
        seen = true;
        return false;
      }
      return true;
    });
  }
}

const COLON = 0x3a;

/** A request's headers. Absent pseudo-headers are empty strings; `host` is {@link authority}, never a line. */
export class RequestHeaders extends HeaderMap {
  /** `:method`, as sent (methods are case-sensitive). */
  method = '';
  /** `:path`: the origin-form target with its query, or `*`; empty for CONNECT. */
  path = '';
  /** `:authority`: the Host header or the target's authority. */
  authority = '';
  /** `:scheme`: `http` or `https`. */
  scheme = '';
  /** `:protocol` of an extended CONNECT (RFC 8441). */
  protocol = '';

  protected override getPseudo(name: string): string | undefined {
    switch (name) {
      case ':method':
        return this.method === '' ? undefined : this.method;
      case ':path':
        return this.path === '' ? undefined : this.path;
      case ':authority':
        return this.authority === '' ? undefined : this.authority;
      case ':scheme':
        return this.scheme === '' ? undefined : this.scheme;
      case ':protocol':
        return this.protocol === '' ? undefined : this.protocol;
      default:
        return undefined;
    }
  }

  /** `host` is the authority here too, as in Envoy. */
  override get(name: string): string | undefined {
    return name === 'host' ? this.getPseudo(':authority') : super.get(name);
  }

  override getAll(name: string): string[] {
    return super.getAll(name === 'host' ? ':authority' : name);
  }

  override getJoined(name: string): string | undefined {
    return super.getJoined(name === 'host' ? ':authority' : name);
  }

  protected override setPseudo(name: string, value: string): boolean {
    switch (name) {
      case ':method':
        this.method = value;
        return true;
      case ':path':
        this.path = value;
        return true;
      case ':authority':
      case 'host':
        this.authority = value;
        return true;
      case ':scheme':
        this.scheme = value;
        return true;
      case ':protocol':
        this.protocol = value;
        return true;
      default:
        return super.setPseudo(name, value);
    }
  }

  protected override forEachPseudo(visit: (name: string, value: string) => void): void {
    if (this.authority !== '') visit(':authority', this.authority);
    if (this.path !== '') visit(':path', this.path);
    if (this.method !== '') visit(':method', this.method);
    if (this.scheme !== '') visit(':scheme', this.scheme);
    if (this.protocol !== '') visit(':protocol', this.protocol);
  }

  /** A copy that can be changed on its own (retries, mirrors). */
  clone(): RequestHeaders {
    const copy = new RequestHeaders();
    copy.method = this.method;
    copy.path = this.path;
    copy.authority = this.authority;
    copy.scheme = this.scheme;
    copy.protocol = this.protocol;
    copy.nameFormatter = this.nameFormatter;
    copy.appendAll(this);
    return copy;
  }
}

/** A response's headers. */
export class ResponseHeaders extends HeaderMap {
  /** `:status`, 100 … 999; 0 while there is none. */
  status = 0;

  protected override getPseudo(name: string): string | undefined {
    return name === ':status' && this.status !== 0 ? String(this.status) : undefined;
  }

  protected override setPseudo(name: string, value: string): boolean {
    if (name !== ':status') return super.setPseudo(name, value);
    if (/^[1-9]\d\d$/.test(value)) this.status = Number(value);
    return true;
  }

  protected override forEachPseudo(visit: (name: string, value: string) => void): void {
    if (this.status !== 0) visit(':status', String(this.status));
  }
}

/** Trailers: a header map that has no pseudo-headers. */
export class Trailers extends HeaderMap {}
