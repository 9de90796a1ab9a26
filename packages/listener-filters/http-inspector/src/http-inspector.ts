import { HttpInspectorSchema } from '@dragoman/api';
import {
  type Counter,
  defineListenerFilter,
  latin1Slice,
  type ListenerFilter,
  type ListenerFilterSocket,
} from '@dragoman/core';
import { mayBegin, protocolOf } from './request-line.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const FIRST_BYTES = 8 * 1024;
const MAX_BYTES = 64 * 1024;
const CR = 13;
const LF = 10;
/** No method is longer than this many bytes, so that a line is judged by its beginning once, and not with every piece. */
const METHOD_BYTES = 64;

type Protocol = 'http/1.0' | 'http/1.1' | 'h2c';

interface Settings {
  /** Bytes. */
  readonly firstBytes: number;
  /** The request line has no end within 64 KiB. */
  readonly readError: Counter;
  readonly notFound: Counter;
  readonly found: Readonly<Record<Protocol, Counter>>;
}

/** `envoy.filters.listener.http_inspector`. */
export const httpInspector = defineListenerFilter({
  name: 'envoy.filters.listener.http_inspector',
  config: HttpInspectorSchema,
  create({ initialReadBufferSize }, { stats }) {
    const scope = stats.scope('http_inspector');
    const settings: Settings = {
      firstBytes: Math.min(initialReadBufferSize ?? FIRST_BYTES, MAX_BYTES),
      readError: scope.counter('read_error'),
      notFound: scope.counter('http_not_found'),
      found: {
        'http/1.0': scope.counter('http10_found'),
        'http/1.1': scope.counter('http11_found'),
        h2c: scope.counter('http2_found'),
      },
    };
    return () => new HttpInspectorFilter(settings);
  },
});

class HttpInspectorFilter implements ListenerFilter {
  maxReadBytes: number;
  private readonly settings: Settings;
  /** Bytes that hold no end of a line. */
  private searched = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    this.maxReadBytes = settings.firstBytes;
  }

  onAccept({ info }: ListenerFilterSocket): 'continue' | 'wait' {
    // What is encrypted cannot be looked at.
    return info.transportProtocol === '' || info.transportProtocol === 'raw_buffer' ? 'wait' : 'continue';
  }

  onData({ info, peeked }: ListenerFilterSocket): 'continue' | 'wait' | 'close' {
    const { found, notFound, readError } = this.settings;
    const protocol = this.inspect(peeked);
    if (protocol === 'more') {
      if (peeked.length >= MAX_BYTES) {
        readError.inc();
        return 'close';
      }
      if (peeked.length >= this.maxReadBytes) this.maxReadBytes = Math.min(2 * this.maxReadBytes, MAX_BYTES);
      return 'wait';
    }
    if (protocol === undefined) notFound.inc();
    else {
      found[protocol].inc();
      info.applicationProtocols = [protocol];
    }
    return 'continue';
  }

  /** Undefined: this is no HTTP. */
  private inspect(bytes: Buffer): Protocol | 'more' | undefined {
    const length = Math.min(bytes.length, PREFACE.length);
    if (PREFACE.compare(bytes, 0, length, 0, length) === 0) return length < PREFACE.length ? 'more' : 'h2c';
    if (bytes[0] === CR || bytes[0] === LF) return undefined;
    const end = bytes.indexOf(LF, this.searched);
    if (end >= 0) return protocolOf(latin1Slice(bytes, 0, end));
    if (
      this.searched < METHOD_BYTES &&
      !mayBegin(latin1Slice(bytes, 0, Math.min(bytes.length, METHOD_BYTES)))
    )
      return undefined;
    this.searched = bytes.length;
    return 'more';
  }
}
