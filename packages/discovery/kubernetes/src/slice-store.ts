import type { Slice } from './slices.ts';

/** The slices of a service as far as they are known. */
export class SliceStore {
  readonly slices = new Map<string, Slice>();
  private readonly maxEndpoints: number;
  private size = 0;

  constructor(maxEndpoints: number) {
    this.maxEndpoints = maxEndpoints;
  }

  /** @returns why it is not taken: it makes more endpoints than allowed (a slice without any counts as one); else undefined */
  set(slice: Slice): string | undefined {
    const size = this.size - weigh(this.slices.get(slice.name)) + weigh(slice);
    if (size > this.maxEndpoints) return `holds more than ${this.maxEndpoints} endpoints (max_endpoints)`;
    this.size = size;
    this.slices.set(slice.name, slice);
    return undefined;
  }

  delete(name: string): void {
    this.size -= weigh(this.slices.get(name));
    this.slices.delete(name);
  }
}

function weigh(slice: Slice | undefined): number {
  return slice === undefined ? 0 : Math.max(1, slice.endpoints.length);
}
