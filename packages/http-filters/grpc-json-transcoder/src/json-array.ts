import { ByteStore } from './byte-store.ts';
import { Refusal } from './refusal.ts';

const TAB = 0x09;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

type State =
  /** Before the array. */
  | 'start'
  /** Before an element; the array may end here, as Envoy takes a comma in front of its end. */
  | 'value'
  /** In an element that is an array or object, at {@link JsonArraySplitter.depth} > 0. */
  | 'nested'
  /** In an element that is a number, or a word. */
  | 'word'
  /** In a string: an element, or within one. */
  | 'string'
  /** In a string, behind a backslash. */
  | 'escape'
  /** Behind an element. */
  | 'after'
  /** Behind the array. */
  | 'end';

/**
 * Cuts a JSON array, which comes in pieces of any size, into its elements, as they become whole. It keeps no more than the
 * element that has begun, and looks at nothing within elements but where they end: whether they are JSON is for their reader.
 */
export class JsonArraySplitter {
  /** Why no more elements come. */
  refusal: Refusal | undefined = undefined;
  private readonly maxElementBytes: number;
  private readonly partial = new ByteStore();
  private state: State = 'start';
  private depth = 0;

  /** @param maxElementBytes an element that is longer is a {@link refusal}, before it is whole */
  constructor(maxElementBytes: number) {
    this.maxElementBytes = maxElementBytes;
  }

  /** Bytes that are kept. */
  get pendingBytes(): number {
    return this.partial.length;
  }

  /** Takes the next piece; gives the elements that end in it. Those before a {@link refusal} come out, too. */
  push(chunk: Buffer): Buffer[] {
    const elements: Buffer[] = [];
    if (this.refusal !== undefined) return elements;
    let begin = 0;
    for (let at = 0; at < chunk.length && this.refusal === undefined; at++) {
      const byte = chunk[at] as number;
      const before = this.state;
      const takesByte = this.step(byte);
      if (before === 'value' && this.inElement) begin = at;
      if (this.state !== 'after' || before === 'after') continue;
      if (!this.keep(chunk.subarray(begin, takesByte ? at + 1 : at))) break;
      elements.push(this.partial.take());
      // What ended a number or word has not been looked at.
      if (!takesByte) this.step(byte);
    }
    if (this.refusal === undefined && this.inElement) this.keep(chunk.subarray(begin));
    return elements;
  }

  /** No more comes. */
  finish(): void {
    if (this.refusal !== undefined || this.state === 'end') return;
    // Envoy takes no body at all for an empty object.
    this.refuse(
      this.state === 'start'
        ? 'Expected an array instead of an object'
        : 'Unexpected end of string. Expected , or ] after array value.',
    );
  }

  private get inElement(): boolean {
    return (
      this.state === 'nested' || this.state === 'word' || this.state === 'string' || this.state === 'escape'
    );
  }

  /** @returns false when the byte ends a number or word and is not part of it */
  private step(byte: number): boolean {
    switch (this.state) {
      case 'start':
        if (byte === OPEN_LIST) this.state = 'value';
        else if (!isSpace(byte))
          this.refuse(
            `Expected an array instead of ${byte === OPEN_OBJECT ? 'an object' : 'a scalar value.'}`,
          );
        return true;
      case 'value':
        this.stepValue(byte);
        return true;
      case 'nested':
        if (byte === QUOTE) this.state = 'string';
        else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.depth++;
        else if ((byte === CLOSE_LIST || byte === CLOSE_OBJECT) && --this.depth === 0) this.state = 'after';
        return true;
      case 'word':
        if (byte !== COMMA && byte !== CLOSE_LIST && !isSpace(byte)) return true;
        this.state = 'after';
        return false;
      case 'string':
        if (byte === BACKSLASH) this.state = 'escape';
        else if (byte === QUOTE) this.state = this.depth > 0 ? 'nested' : 'after';
        return true;
      case 'escape':
        this.state = 'string';
        return true;
      case 'after':
        if (byte === COMMA) this.state = 'value';
        else if (byte === CLOSE_LIST) this.state = 'end';
        else if (!isSpace(byte)) this.refuse('Expected , or ] after array value.');
        return true;
      default:
        if (!isSpace(byte)) this.refuse('Parsing terminated before end of input.');
        return true;
    }
  }

  private stepValue(byte: number): void {
    if (isSpace(byte)) return;
    if (byte === CLOSE_LIST) this.state = 'end';
    else if (byte === COMMA) this.refuse('Expected a value.');
    else if (byte === QUOTE) this.state = 'string';
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      this.state = 'nested';
      this.depth = 1;
    } else this.state = 'word';
  }

  private keep(part: Buffer): boolean {
    if (this.partial.length + part.length > this.maxElementBytes) {
      this.refusal = Refusal.requestTooLarge();
      return false;
    }
    this.partial.append(part);
    return true;
  }

  private refuse(message: string): void {
    this.refusal = Refusal.request(message);
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === RETURN || byte === TAB;
}
