import type { Clock } from '@dragoman/core';

/** The value of `date` (RFC 9110 section 6.6.1), made once a second. */
export class DateHeader {
  private readonly clock: Clock;
  private second = Number.NaN;
  private value = '';

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get text(): string {
    const second = Math.floor(this.clock.wallTime() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.value = new Date(second * 1000).toUTCString();
    }
    return this.value;
  }
}
