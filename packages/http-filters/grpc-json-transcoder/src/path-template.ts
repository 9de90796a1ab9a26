/** Which segments of a path are the value of a field. */
export interface TemplateVariable {
  readonly fieldPath: readonly string[];
  /** Index of its first segment. */
  readonly start: number;
  /** How many segments it has; undefined when it holds a `**`. */
  readonly length: number | undefined;
  /** How many segments come behind it. */
  readonly behind: number;
}

/** A path template of `google.api.http`, such as `/v1/{name=shelves/*}/books/**:publish`. */
export interface PathTemplate {
  /** Literals, `*` for one segment of any text, `**` for any number of them. */
  readonly segments: readonly string[];
  /** What follows the last colon, without it; empty for none. */
  readonly verb: string;
  readonly variables: readonly TemplateVariable[];
}

export const ANY_SEGMENT = '*';
export const ANY_PATH = '**';

/** Longer ones are a mistake: matching descends once for each segment. */
const MAX_SEGMENTS = 100;

/**
 * Reads a template:
 *
 *     Template = "/" [ Segments ] [ ":" LITERAL ]
 *     Segments = Segment { "/" Segment }
 *     Segment  = "*" | "**" | LITERAL | "{" IDENT { "." IDENT } [ "=" Segments ] "}"
 *
 * @throws Error which says what was expected where
 */
export function parseTemplate(text: string): PathTemplate {
  return new TemplateParser(text).parse();
}

class TemplateParser {
  private readonly text: string;
  private at = 0;
  private readonly segments: string[] = [];
  private readonly variables: { fieldPath: string[]; start: number; end: number }[] = [];

  constructor(text: string) {
    this.text = text;
  }

  parse(): PathTemplate {
    this.expect('/');
    if (this.at < this.text.length) this.readSegments(false);
    const verb = this.take(':') ? this.readLiteral() : '';
    if (this.at < this.text.length) this.fail(`expected "/", ":" or the end, not ${this.here()}`);
    this.checkSegments();
    return {
      segments: this.segments,
      verb,
      variables: this.variables.map(({ fieldPath, start, end }) => ({
        fieldPath,
        start,
        length: this.segments.slice(start, end).includes(ANY_PATH) ? undefined : end - start,
        behind: this.segments.length - end,
      })),
    };
  }

  private readSegments(inVariable: boolean): void {
    do this.readSegment(inVariable);
    while (this.take('/'));
  }

  private readSegment(inVariable: boolean): void {
    if (this.segments.length === MAX_SEGMENTS) this.fail(`has more than ${MAX_SEGMENTS} segments`);
    if (this.take('*')) this.segments.push(this.take('*') ? ANY_PATH : ANY_SEGMENT);
    else if (!this.take('{')) this.segments.push(this.readLiteral());
    else if (inVariable) this.fail('a variable cannot stand within another');
    else this.readVariable();
  }

  private readVariable(): void {
    const fieldPath = [this.readIdentifier()];
    while (this.take('.')) fieldPath.push(this.readIdentifier());
    const start = this.segments.length;
    if (this.take('=')) this.readSegments(true);
    else this.segments.push(ANY_SEGMENT);
    this.expect('}');
    this.variables.push({ fieldPath, start, end: this.segments.length });
  }

  private readLiteral(): string {
    return this.readUntil(/[/:{}]/, 'a literal');
  }

  private readIdentifier(): string {
    return this.readUntil(/[.=}{/*]/, 'a field name');
  }

  private readUntil(stop: RegExp, what: string): string {
    const start = this.at;
    while (this.at < this.text.length && !stop.test(this.text.charAt(this.at))) this.at++;
    if (this.at === start) this.fail(`expected ${what}, not ${this.here()}`);
    return this.text.slice(start, this.at);
  }

  /** Only literals may follow a `**`: what it takes would be a matter of taste otherwise. */
  private checkSegments(): void {
    const deep = this.segments.indexOf(ANY_PATH);
    if (deep < 0) return;
    const wild = this.segments.slice(deep + 1).find((segment) => segment.startsWith(ANY_SEGMENT));
    if (wild !== undefined) this.fail(`only literals may follow "**", not "${wild}"`);
  }

  private take(char: string): boolean {
    if (this.text.charAt(this.at) !== char) return false;
    this.at++;
    return true;
  }

  private expect(char: string): void {
    if (!this.take(char)) this.fail(`expected "${char}", not ${this.here()}`);
  }

  private here(): string {
    return this.at < this.text.length ? JSON.stringify(this.text.charAt(this.at)) : 'the end';
  }

  private fail(problem: string): never {
    throw new Error(`path template ${JSON.stringify(this.text)}, at character ${this.at + 1}: ${problem}`);
  }
}
