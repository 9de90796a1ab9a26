/** A session of a server that was verified, to be resumed. */
export interface CachedSession {
  readonly session: Buffer;
  /** DER of what the server sent when the session began: a resumed handshake does not show it again, and it is verified each time. */
  readonly chain: readonly Buffer[];
  /** Good for one connection (TLS 1.3): used twice, it would tell an onlooker that both are of one client. */
  readonly singleUse: boolean;
}

/** Server names whose sessions are kept. */
const MAX_NAMES = 1024;

/** Sessions by server name, the newest first (`max_session_keys`). */
export class SessionCache {
  private readonly limit: number;
  private readonly byName = new Map<string, CachedSession[]>();

  /** @param limit of sessions for one name; 0 keeps none */
  constructor(limit: number) {
    this.limit = limit;
  }

  get enabled(): boolean {
    return this.limit > 0;
  }

  add(name: string, session: CachedSession): void {
    const sessions = this.byName.get(name) ?? [];
    sessions.unshift(session);
    if (sessions.length > this.limit) sessions.length = this.limit;
    // The names that were used last stay.
    this.byName.delete(name);
    this.byName.set(name, sessions);
    if (this.byName.size <= MAX_NAMES) return;
    const [oldest] = this.byName.keys();
    this.byName.delete(oldest as string);
  }

  take(name: string): CachedSession | undefined {
    const sessions = this.byName.get(name);
    const newest = sessions?.[0];
    if (newest?.singleUse === true) sessions?.shift();
    return newest;
  }
}
