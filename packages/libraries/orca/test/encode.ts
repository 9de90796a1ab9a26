/** A report as a test writes it. Absent: 0, or nothing. */
export interface Written {
  readonly cpuUtilization?: number;
  readonly memUtilization?: number;
  readonly applicationUtilization?: number;
  readonly rpsFractional?: number;
  readonly eps?: number;
  readonly requestCost?: Readonly<Record<string, number>>;
  readonly utilization?: Readonly<Record<string, number>>;
  readonly namedMetrics?: Readonly<Record<string, number>>;
}

const NUMBERS = [
  ['cpuUtilization', 1],
  ['memUtilization', 2],
  ['rpsFractional', 6],
  ['eps', 7],
  ['applicationUtilization', 9],
] as const;
const MAPS = [
  ['requestCost', 4],
  ['utilization', 5],
  ['namedMetrics', 8],
] as const;

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}

export function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

export function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([varint(field * 8 + 1), bytes]);
}

/** `OrcaLoadReport` as protobuf. */
export function encode(report: Written): Buffer {
  const fields = NUMBERS.flatMap(([name, field]) => {
    const value = report[name];
    return value === undefined ? [] : [doubleField(field, value)];
  });
  const entries = MAPS.flatMap(([name, field]) =>
    Object.entries(report[name] ?? {}).map(([key, value]) =>
      bytesField(field, Buffer.concat([bytesField(1, Buffer.from(key)), doubleField(2, value)])),
    ),
  );
  return Buffer.concat([...fields, ...entries]);
}
