import { deserialize, serialize } from 'node:v8';
import { type EndpointData, type MetadataValue, sameValue } from '@dragoman/core';

export type EndpointMetadata = NonNullable<EndpointData['metadata']>;

/** JSON where that says it exactly, else (infinities, NaN, −0) base64 of V8's serialisation. */
export type WireMetadata = EndpointMetadata | string;

type Cell = string | number | boolean | null;

/**
 * Endpoints by field: the one value that all have, or one for each; `null` is undefined. That of `metadata` is its place in a table. A field that is
 * missing is undefined in a new endpoint, and stays as it was in an amended one.
 */
export type EndpointColumns = Readonly<Partial<Record<keyof EndpointData, Cell | readonly Cell[]>>>;

/** Every field, whoever adds one: the compiler asks for it here and in {@link readEndpoint}. */
const FIELDS = Object.keys({
  address: true,
  id: true,
  hostname: true,
  weight: true,
  metadata: true,
  health: true,
  healthCheckAddress: true,
  healthCheckHostname: true,
  noHealthCheck: true,
  checked: true,
  outcomeRow: true,
} satisfies Record<keyof EndpointData, true>) as (keyof EndpointData)[];

/** @param bases for amended endpoints, what each was before */
export function writeColumns(
  endpoints: readonly EndpointData[],
  metadata: MetadataTable,
  bases?: readonly EndpointData[],
): EndpointColumns {
  const columns: Partial<Record<keyof EndpointData, Cell | readonly Cell[]>> = {};
  for (const field of FIELDS) {
    if (endpoints.every((endpoint, row) => sameValue(endpoint[field], bases?.[row][field]))) continue;
    const cells = endpoints.map((endpoint): Cell => {
      if (field === 'metadata') return metadata.place(endpoint.metadata);
      return endpoint[field] ?? null;
    });
    columns[field] = cells.every((cell) => cell === cells[0]) ? cells[0] : cells;
  }
  return columns;
}

/** One row. Every endpoint has all fields, in one order: code that reads them stays fast. */
export function readEndpoint(
  columns: EndpointColumns,
  row: number,
  metadata: readonly EndpointMetadata[],
  base: EndpointData | undefined,
): EndpointData {
  const place = cell<number | undefined>(columns.metadata, row, undefined);
  return {
    address: cell(columns.address, row, base?.address) as string,
    id: cell(columns.id, row, base?.id),
    hostname: cell(columns.hostname, row, base?.hostname) as string,
    weight: cell(columns.weight, row, base?.weight) as number,
    metadata: columns.metadata === undefined ? base?.metadata : place === undefined ? place : metadata[place],
    health: cell(columns.health, row, base?.health),
    healthCheckAddress: cell(columns.healthCheckAddress, row, base?.healthCheckAddress),
    healthCheckHostname: cell(columns.healthCheckHostname, row, base?.healthCheckHostname),
    noHealthCheck: cell(columns.noHealthCheck, row, base?.noHealthCheck),
    checked: cell(columns.checked, row, base?.checked),
    outcomeRow: cell(columns.outcomeRow, row, base?.outcomeRow),
  } satisfies { [field in keyof Required<EndpointData>]: EndpointData[field] };
}

function cell<Value>(column: Cell | readonly Cell[] | undefined, row: number, kept: Value): Value {
  if (column === undefined) return kept;
  const value = typeof column === 'object' && column !== null ? column[row] : column;
  return (value ?? undefined) as Value;
}

/** Collects what endpoints have for metadata: equal ones once. */
export class MetadataTable {
  private readonly texts: string[] = [];
  private readonly byObject = new Map<EndpointMetadata, number>();
  private readonly byText = new Map<string, number>();

  /** Where `metadata` is in the table. */
  place(metadata: EndpointMetadata | undefined): number | null {
    if (metadata === undefined) return null;
    let place = this.byObject.get(metadata);
    if (place === undefined) {
      place = this.placeOfText(JSON.stringify(toWire(metadata)));
      this.byObject.set(metadata, place);
    }
    return place;
  }

  /** As a JSON array. */
  toText(): string {
    return `[${this.texts.join(',')}]`;
  }

  private placeOfText(text: string): number {
    let place = this.byText.get(text);
    if (place === undefined) {
      place = this.texts.push(text) - 1;
      this.byText.set(text, place);
    }
    return place;
  }
}

function toWire(metadata: EndpointMetadata): WireMetadata {
  return saidByJson(metadata) ? metadata : serialize(metadata).toString('base64');
}

/** The inverse of what {@link MetadataTable} wrote for one. */
export function fromWire(wire: WireMetadata): EndpointMetadata {
  return typeof wire === 'string' ? (deserialize(Buffer.from(wire, 'base64')) as EndpointMetadata) : wire;
}

function saidByJson(value: MetadataValue | undefined): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(saidByJson);
}
