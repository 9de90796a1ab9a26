import type { Counter, Gauge } from '@dragoman/core';

/** A counter outside the stats store: one of a host, of which there may be very many. */
export class LocalCounter implements Counter {
  readonly name: string;
  protected count = 0;

  constructor(name: string) {
    this.name = name;
  }

  inc(): void {
    this.count++;
  }

  add(amount: number): void {
    this.count += amount;
  }

  value(): number {
    return this.count;
  }
}

/** A gauge outside the stats store. */
export class LocalGauge implements Gauge {
  readonly name: string;
  private current = 0;

  constructor(name: string) {
    this.name = name;
  }

  inc(): void {
    this.current++;
  }

  dec(): void {
    this.current--;
  }

  add(amount: number): void {
    this.current += amount;
  }

  sub(amount: number): void {
    this.current -= amount;
  }

  set(value: number): void {
    this.current = value;
  }

  value(): number {
    return this.current;
  }
}
