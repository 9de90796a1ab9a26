import { setFlagsFromString } from 'node:v8';

/**
 * Texts up to this length may be matched by the backtracking engine first (25 ns against 1,100 ns for a short path). V8 counts neither the steps
 * of a simple greedy loop nor the start positions of a search as backtracks, so the fallback alone leaves `.*x` quadratic
 * (measured: 450 ms for 20,000 characters); above this length the linear engine is used from the beginning (1.7 ms).
 */
export const MAX_BACKTRACKING_TEXT = 512;

/** Backtracks before V8 turns to its linear engine. With greedy loops of {@link MAX_BACKTRACKING_TEXT} steps each this is under 1 ms. */
const BACKTRACKS_BEFORE_FALLBACK = 2000;

/** Sources above these run on the linear engine alone: V8 compiles the other kind in exponential time (50 optional characters in a row: 0.5 s, 100: 14 s). */
const MAX_BACKTRACKING_SOURCE = 2000;
const MAX_OPTIONAL_PARTS = 16;

let ready = false;

/** Turns V8's linear engine on. The flags are the process's: they must stand before the first pattern is compiled. */
function enableLinearEngine(): void {
  if (ready) return;
  setFlagsFromString('--enable-experimental-regexp-engine');
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString(`--regexp-backtracks-before-fallback=${BACKTRACKS_BEFORE_FALLBACK}`);
  ready = true;
}

/** One source on both engines. */
export class Matcher {
  private readonly linear: RegExp;
  private readonly fast: RegExp;

  /**
   * @param flags `''`, `'g'` or `'y'`
   * @throws SyntaxError when V8 cannot match `source` in linear time.
   */
  constructor(source: string, flags: string, optionalParts: number) {
    enableLinearEngine();
    this.linear = new RegExp(source, `${flags}l`);
    const simple = source.length <= MAX_BACKTRACKING_SOURCE && optionalParts <= MAX_OPTIONAL_PARTS;
    this.fast = simple ? new RegExp(source, flags) : this.linear;
    if (source.length > MAX_BACKTRACKING_SOURCE) this.compileNow();
  }

  test(text: string): boolean {
    return text.length > MAX_BACKTRACKING_TEXT ? this.linear.test(text) : this.fast.test(text);
  }

  /** From `lastIndex` on, for the flags `g` and `y`. */
  exec(text: string, lastIndex: number): RegExpExecArray | null {
    const regex = text.length > MAX_BACKTRACKING_TEXT ? this.linear : this.fast;
    regex.lastIndex = lastIndex;
    return regex.exec(text);
  }

  /** V8 compiles on the first match, once for each width of characters: what is too large must fail while the config is loaded. */
  private compileNow(): void {
    for (const text of ['', '\u0100']) this.linear.exec(text);
    this.linear.lastIndex = 0;
  }
}
