/** A pattern that is not RE2 syntax, or that RE2 would refuse for its size. */
export class RegexSyntaxError extends Error {
  readonly pattern: string;
  /** Where in {@link pattern} it goes wrong, in UTF-16 units from 0. */
  readonly offset: number;

  /**
   * @param what what is wrong
   * @param allowed what RE2 would take instead
   */
  constructor(pattern: string, offset: number, what: string, allowed: string) {
    const shown = pattern.length > 80 ? `${pattern.slice(0, 77)}...` : pattern;
    super(`invalid regex "${shown}" at offset ${offset}: ${what}; ${allowed}`);
    this.name = 'RegexSyntaxError';
    this.pattern = pattern;
    this.offset = offset;
  }
}
