/** The state that a host is in. */
export interface Condition {
  /** Service times are multiplied by this. */
  readonly timeFactor: number;
  /** Share of the requests that fail, 0 … 1. */
  readonly errorRate: number;
  /** What a failed request is answered with. */
  readonly errorStatus: number;
  /** Milliseconds after which a failed request is answered, past any queue; undefined: it takes as long as one that works. */
  readonly errorTimeMs: number | undefined;
  /** `refuses`: connections are refused and lost; `silent`: packets vanish, nothing ever comes back. */
  readonly reachable: 'yes' | 'refuses' | 'silent';
}

/** The condition of a host at each time, milliseconds since the start of the simulation. */
export type Timeline = (nowMs: number) => Condition;

/** A span of time: from `fromMs` on and before `untilMs`. Default: from the start, and for ever. */
export interface Span {
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Nothing is wrong. */
export const WELL: Condition = {
  timeFactor: 1,
  errorRate: 0,
  errorStatus: 503,
  errorTimeMs: undefined,
  reachable: 'yes',
};

/** Connections are refused, and what is under way is lost. */
export const DEAD: Condition = { ...WELL, reachable: 'refuses' };

/** Nothing comes back: only timeouts end what is sent to it. */
export const SILENT: Condition = { ...WELL, reachable: 'silent' };

/** {@link WELL} but for what `over` says. */
export function ill(over: Partial<Condition>): Condition {
  return { ...WELL, ...over };
}

/** A share of the requests fails, always. @param rate 0 … 1 */
export function failing(rate: number, over: Partial<Condition> = {}): Timeline {
  const condition = ill({ errorRate: rate, ...over });
  return () => condition;
}

/** A condition for a span of time; well otherwise. Brown-outs, and deaths. */
export function during(
  { fromMs = 0, untilMs = Number.POSITIVE_INFINITY }: Span,
  condition: Condition,
): Timeline {
  return (nowMs) => (nowMs >= fromMs && nowMs < untilMs ? condition : WELL);
}

/** Conditions one after the other; where several say something, the first. Well otherwise. */
export function schedule(...spans: readonly (Span & { readonly condition: Condition })[]): Timeline {
  const timelines = spans.map((span) => during(span, span.condition));
  return (nowMs) => {
    for (let i = 0; i < timelines.length; i++) {
      const condition = timelines[i](nowMs);
      if (condition !== WELL) return condition;
    }
    return WELL;
  };
}

/** What {@link flapping} needs. */
export interface FlappingOptions {
  readonly upMs: number;
  readonly downMs: number;
  /** Where in its period the host is at the start; a period begins with its time up. Default 0. */
  readonly offsetMs?: number;
  /** Default {@link DEAD}. */
  readonly condition?: Condition;
}

/** Well for a time, in another condition for a time, again and again. */
export function flapping({ upMs, downMs, offsetMs = 0, condition = DEAD }: FlappingOptions): Timeline {
  const period = upMs + downMs;
  return (nowMs) => ((nowMs + offsetMs) % period < upMs ? WELL : condition);
}
