/**
 * What a supervisor and its epochs tell each other over Node's IPC channel: plain data with a `kind`. Messages arrive
 * in the order in which they were sent. What an epoch counts is `unknown` here: the supervisor only passes it on.
 */

/** An epoch says in {@link Hello} which one it speaks; a supervisor refuses another than its own. */
export const PROTOCOL_VERSION = 1;

/** Set to `1` in the environment of an epoch. */
export const SUPERVISED = 'DRAGOMAN_SUPERVISED';

export interface IpListenAddress {
  readonly family: 'ipv4' | 'ipv6';
  /** Without brackets or scope. */
  readonly ip: string;
  /** 0 … 65535; 0: the kernel chooses when the key is new, later epochs get the same one. */
  readonly port: number;
  /** With family `ipv6`: no IPv4 connections on `::`. */
  readonly ipv6Only: boolean;
}

export interface PipeListenAddress {
  readonly family: 'pipe';
  /** `@name` for an abstract one. */
  readonly path: string;
  /** Permissions of the file, e.g. 0o600; undefined: as the umask has it. */
  readonly mode: number | undefined;
}

/** Where sockets are wanted, or were bound. */
export type ListenAddress = IpListenAddress | PipeListenAddress;

/** Sockets that an epoch wants to listen on. */
export interface WantedSockets {
  /** The epochs' name for this address: the same in each of them, another for each address. */
  readonly key: string;
  readonly address: ListenAddress;
  /** One a worker; at least 1. */
  readonly count: number;
  /** Several sockets on the one address (`SO_REUSEPORT`). False, and Unix sockets: there is one, whatever the count. */
  readonly reusePort: boolean;
}

/** The first message of an epoch. */
export interface Hello {
  readonly kind: 'hello';
  readonly protocol: number;
  readonly epoch: number;
  readonly pid: number;
}

export interface SocketsRequest extends WantedSockets {
  readonly kind: 'sockets';
  readonly id: number;
}

/** The epoch has closed its descriptors of this key and will not listen on it again without asking. */
export interface Release {
  readonly kind: 'release';
  readonly key: string;
}

/** Two questions to the parent epoch; the supervisor relays them and the answers. */
export interface ParentQuestion {
  /**
   * `admin-takeover`: the parent closes its admin interface and answers with what it has counted.
   * `parent-stats`: with what it has counted since its last answer.
   */
  readonly kind: 'admin-takeover' | 'parent-stats';
  readonly id: number;
}

/** A parent's answer to {@link ParentQuestion}. */
export interface StatsAnswer {
  readonly kind: 'stats-answer';
  readonly id: number;
  readonly stats: unknown;
}

/** What was counted since the last answer, from an epoch that is about to exit. */
export interface FinalStats {
  readonly kind: 'final-stats';
  readonly stats: unknown;
}

/** `live`: serving, the parent may drain. `exiting`: the exit that follows is meant. `pong`: the answer to `ping`. */
export interface EpochEvent {
  readonly kind: 'live' | 'exiting' | 'pong';
}

export type EpochMessage =
  | Hello
  | SocketsRequest
  | Release
  | ParentQuestion
  | StatsAnswer
  | FinalStats
  | EpochEvent;

/** Comes with a handle. There are `of` such messages for one request, in the order of `index`. */
export interface SocketMessage {
  readonly kind: 'socket';
  readonly id: number;
  readonly index: number;
  readonly of: number;
  /** Where it is bound: with the real port. */
  readonly address: ListenAddress;
}

export interface SocketsFailed {
  readonly kind: 'sockets-failed';
  readonly id: number;
  /** Of the system (`EADDRINUSE`, `EACCES`, …); `EINVAL`: the message says what the supervisor has against it. */
  readonly code: string;
  readonly message: string;
}

/** The answer to a {@link ParentQuestion}. */
export interface ParentAnswer {
  readonly kind: 'parent-answer';
  readonly id: number;
  /** Undefined also when a parent that is there has not answered in time: there may be another answer of this id then, with what it says later. */
  readonly stats: unknown;
  /** The parent has ended, this is the last of it, and there is no other to ask. */
  readonly final: boolean;
  /** There is no parent, and no stats. */
  readonly gone: boolean;
}

/** A parent has ended. */
export interface ParentGone {
  readonly kind: 'parent-gone';
  /** The last of it, unless a {@link ParentAnswer} had it. */
  readonly stats: unknown;
  /** The parent's parent is still there, and is the one to ask from now on. */
  readonly another: boolean;
}

/**
 * `drain`: the next epoch is live. `terminate`: time is up, exit. `resume`: the next epoch has failed; reopen the admin
 * interface and serve on. `ping`: answer with `pong`, to show that the process is not stuck.
 */
export interface Command {
  readonly kind: 'drain' | 'terminate' | 'resume' | 'ping';
}

/**
 * The supervisor was sent a signal: as if it had come here. It may have, too: a terminal and systemd send theirs to every process of a
 * group, and both are one.
 */
export interface SignalNotice {
  readonly kind: 'signal';
  readonly signal: EndingSignal;
}

/** Drain and end; a second one: end at once. */
export type EndingSignal = 'SIGTERM' | 'SIGINT';

export type SupervisorMessage =
  | SocketMessage
  | SocketsFailed
  | ParentQuestion
  | ParentAnswer
  | ParentGone
  | SignalNotice
  | Command;

/** Whether something that came over the channel is of this protocol; others may use the channel too. */
export function isMessage(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}
