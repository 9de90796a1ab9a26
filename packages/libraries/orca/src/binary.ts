import { isUtf8 } from 'node:buffer';
import type { MetricField, MetricMap, ReportDraft } from './draft.ts';

/** Field numbers of `xds.data.orca.v3.OrcaLoadReport`; 3 is `rps`, which plays no part. */
const NUMBERS: ReadonlyMap<number, MetricField> = new Map([
  [1, 'cpuUtilization'],
  [2, 'memUtilization'],
  [6, 'rpsFractional'],
  [7, 'eps'],
  [9, 'applicationUtilization'],
]);
const MAPS: ReadonlyMap<number, MetricMap> = new Map([
  [4, 'requestCost'],
  [5, 'utilization'],
  [8, 'namedMetrics'],
]);

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

/** `OrcaLoadReport` as protobuf in base64 (RFC 4648 section 4), with padding or without. */
export function readBinary(value: string, draft: ReportDraft): boolean {
  const bytes = decode(value);
  return bytes !== undefined && readReport(bytes, draft);
}

/** Undefined for what is empty, or not the base64 of anything. */
function decode(value: string): Buffer | undefined {
  const bytes = Buffer.from(value, 'base64');
  const exact = bytes.toString('base64');
  const right = value === exact || value === exact.replace(/=+$/, '');
  return right && bytes.length > 0 ? bytes : undefined;
}

function readReport(bytes: Buffer, draft: ReportDraft): boolean {
  const wire = new Wire(bytes);
  while (wire.next()) {
    const field = wire.type === FIXED_64 ? NUMBERS.get(wire.field) : undefined;
    const map = wire.type === BYTES ? MAPS.get(wire.field) : undefined;
    if (field !== undefined && !draft.set(field, wire.double)) return false;
    if (map !== undefined && !readEntry(map, wire.bytes, draft)) return false;
  }
  return wire.right;
}

/** An entry of a map: a message of key and value. */
function readEntry(map: MetricMap, bytes: Buffer, draft: ReportDraft): boolean {
  const wire = new Wire(bytes);
  let key = '';
  let value = 0;
  while (wire.next()) {
    if (wire.field === 1 && wire.type === BYTES) {
      if (!isUtf8(wire.bytes)) return false;
      key = wire.bytes.toString('utf8');
    } else if (wire.field === 2 && wire.type === FIXED_64) value = wire.double;
  }
  return wire.right && draft.put(map, key, value);
}

/** Goes over the fields of a message. */
class Wire {
  field = 0;
  type = 0;
  /** Where the value of the field begins and ends. */
  private start = 0;
  private end = 0;
  /** All of the message was a message. */
  right = true;
  private readonly message: Buffer;

  constructor(message: Buffer) {
    this.message = message;
  }

  get double(): number {
    return this.message.readDoubleLE(this.start);
  }

  get bytes(): Buffer {
    return this.message.subarray(this.start, this.end);
  }

  /** False at the end, and where it is no message any more. */
  next(): boolean {
    if (this.end === this.message.length) return false;
    const tag = this.varint();
    // Field numbers have 29 bits and begin at 1.
    if (tag < 8 || tag >= 2 ** 32) return this.fail();
    this.field = Math.floor(tag / 8);
    this.type = tag % 8;
    const length = this.lengthOf(this.type);
    this.start = this.end;
    if (length < 0 || length > this.message.length - this.end) return this.fail();
    this.end += length;
    return true;
  }

  /** Of what is still to be passed over; −1: there is no such thing. */
  private lengthOf(type: number): number {
    switch (type) {
      case VARINT:
        return this.varint() < 0 ? -1 : 0;
      case FIXED_64:
        return 8;
      case FIXED_32:
        return 4;
      case BYTES:
        return this.varint();
      default:
        // Groups: nobody sends them, and they may nest without end.
        return -1;
    }
  }

  /** Of up to 64 bits, exact to 2⁵³; −1: there is none. */
  private varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (this.end === this.message.length) return -1;
      const byte = this.message[this.end++];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return -1;
  }

  private fail(): false {
    this.right = false;
    this.end = this.message.length;
    return false;
  }
}
