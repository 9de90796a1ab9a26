import { ConfigError } from '@dragoman/core';

/** Envoy's limits. */
const MAX_VARIABLES = 5;
const MAX_NAME_LENGTH = 16;

/** `pchar` of RFC 3986 without `*` and `=`, as the inside of a character class. */
const LITERAL_CLASS = "a-zA-Z0-9\\-._~%!$&'()+,;:@";
const LITERAL = new RegExp(`^[${LITERAL_CLASS}]+$`);
const REWRITE_LITERAL = new RegExp(`^[${LITERAL_CLASS}/]+$`);
const NAME = /^[a-zA-Z][a-zA-Z0-9_]*$/;
/** A slash, and printable ASCII without the space. */
const PRINTABLE = /^\/[!-~]*$/;

/** `*`: a path segment, or a part of one. `**`: any number of segments, also none. */
const GLOBS = { '*': `[${LITERAL_CLASS}*]+`, '**': `[${LITERAL_CLASS}*/]*` } as const;
type Glob = keyof typeof GLOBS;

/** A template, read. */
export interface ParsedTemplate {
  /** A regular expression for the whole path; each variable is a group, in the order of {@link variables}. */
  readonly pattern: string;
  readonly variables: readonly string[];
}

/**
 * Reads a template such as `/videos/{id}.m4s`.
 * @throws ConfigError that says what of its grammar is not met
 */
export function parseTemplate(text: string): ParsedTemplate {
  return new TemplateReader(text).read();
}

class TemplateReader {
  private readonly text: string;
  /** What comes next; the slash at the front has been read. */
  private at = 1;
  private pattern = '/';
  private readonly variables: string[] = [];
  private sawTextGlob = false;

  constructor(text: string) {
    this.text = text;
  }

  read(): ParsedTemplate {
    const { text } = this;
    if (!PRINTABLE.test(text))
      throw wrong('must begin with "/" and hold printable ASCII without spaces only');
    while (this.at < text.length) {
      this.segment();
      if (this.at === text.length) break;
      this.at++;
      this.pattern += '/';
    }
    return { pattern: this.pattern, variables: this.variables };
  }

  /** One segment: a glob, or literals with a variable among them at most. */
  private segment(): void {
    const { text } = this;
    if (text[this.at] === '*') {
      this.glob(this.takeGlob(text.length));
    } else {
      const literal = this.takeLiteral('{');
      if (literal === '' && text[this.at] !== '{') throw wrong('has an empty segment');
      if (text[this.at] === '{') this.variable();
    }
    if (this.at === text.length || text[this.at] === '/') return;
    const afterGlob = text[this.at - 1] === '*';
    this.takeLiteral('');
    if (afterGlob && this.at < text.length)
      throw wrong(
        'has text after a glob that does not end the template; a prefix of a segment cannot be matched',
      );
  }

  /** Literal characters up to the end of the segment, or to `stop`. */
  private takeLiteral(stop: string): string {
    const { text } = this;
    const begin = this.at;
    while (this.at < text.length && text[this.at] !== '/' && text[this.at] !== stop) this.at++;
    const literal = text.slice(begin, this.at);
    if (literal !== '' && !LITERAL.test(literal))
      throw wrong(`has "${literal}", which is no literal: a segment holds ${ALLOWED}`);
    this.pattern += escaped(literal);
    return literal;
  }

  private takeGlob(end: number): Glob {
    const glob = this.text.startsWith('**', this.at) && this.at + 2 <= end ? '**' : '*';
    this.at += glob.length;
    return glob;
  }

  private glob(glob: Glob): void {
    if (this.sawTextGlob)
      throw wrong('has a glob, or a variable that is one, after "**", which must be the last');
    this.sawTextGlob = glob === '**';
    this.pattern += GLOBS[glob];
  }

  private variable(): void {
    const { text } = this;
    const end = text.indexOf('}', this.at);
    if (end < 0) throw wrong('has "{" without "}"');
    const equals = text.slice(0, end).indexOf('=', this.at);
    const name = text.slice(this.at + 1, equals < 0 ? end : equals);
    this.addVariable(name);
    this.pattern += '(';
    if (equals < 0) this.glob('*');
    else this.variableMatch(equals + 1, end);
    this.pattern += ')';
    this.at = end + 1;
  }

  /** What stands behind `=`: globs and literals between slashes. */
  private variableMatch(begin: number, end: number): void {
    if (begin === end) throw wrong('has a variable with nothing behind "="');
    this.at = begin;
    for (;;) {
      if (this.text[this.at] === '*') {
        this.glob(this.takeGlob(end));
      } else {
        const slash = this.text.indexOf('/', this.at);
        const literal = this.text.slice(this.at, slash < 0 || slash > end ? end : slash);
        if (!LITERAL.test(literal))
          throw wrong(`has "${literal}" in a variable, which is no literal: a segment holds ${ALLOWED}`);
        this.pattern += escaped(literal);
        this.at += literal.length;
      }
      if (this.at === end) return;
      if (this.text[this.at] !== '/' || this.at + 1 === end)
        throw wrong('has a variable whose segments are not each one glob or one literal');
      this.at++;
      this.pattern += '/';
    }
  }

  private addVariable(name: string): void {
    checkName(name);
    if (name.length > MAX_NAME_LENGTH)
      throw wrong(`has the variable "${name}", whose name is longer than ${MAX_NAME_LENGTH} characters`);
    if (this.variables.includes(name)) throw wrong(`has the variable "${name}" twice`);
    if (this.variables.length === MAX_VARIABLES) throw wrong(`has more than ${MAX_VARIABLES} variables`);
    this.variables.push(name);
  }
}

const ALLOWED = "letters, digits and -._~%!$&'()+,;:@";

/** A part of a rewrite: text, or the index of a variable of the template. */
export type RewritePart = string | number;

/**
 * Reads a rewrite such as `/{lang}/videos/{id}`.
 * @param variables of the template that it is used with
 * @throws ConfigError that says what of its grammar is not met, or which variable there is not
 */
export function parseRewrite(text: string, variables: readonly string[]): readonly RewritePart[] {
  if (!text.startsWith('/')) throw wrong('must begin with "/"');
  if (text.includes('//')) throw wrong('may not have two slashes in a row');
  const parts: RewritePart[] = [];
  let at = 0;
  while (at < text.length) {
    let open = text.indexOf('{', at);
    if (open < 0) open = text.length;
    if (open > at) {
      const literal = text.slice(at, open);
      if (!REWRITE_LITERAL.test(literal))
        throw wrong(`has "${literal}", which is no literal: it holds / and ${ALLOWED}`);
      parts.push(literal);
    }
    if (open === text.length) break;
    const close = text.indexOf('}', open);
    if (close < 0) throw wrong('has "{" without "}"');
    parts.push(indexOf(text.slice(open + 1, close), variables));
    at = close + 1;
  }
  return parts;
}

function indexOf(name: string, variables: readonly string[]): number {
  checkName(name);
  const index = variables.indexOf(name);
  if (index >= 0) return index;
  const known = variables.length === 0 ? 'has none' : `has ${variables.join(', ')}`;
  throw wrong(`has the variable "${name}", which the path_match_policy does not set: it ${known}`);
}

function checkName(name: string): void {
  if (!NAME.test(name))
    throw wrong(`has "${name}" for a variable; a name is a letter, then letters, digits and underscores`);
}

function escaped(literal: string): string {
  return literal.replace(/[$()+.]/g, '\\$&');
}

function wrong(what: string): ConfigError {
  return ConfigError.at('', `the template ${what}`);
}
