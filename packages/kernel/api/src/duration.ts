import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

/** A duration in milliseconds, as a fraction where it has one; undefined stays undefined. */
export function durationMs(duration: Duration): number;
export function durationMs(duration: Duration | undefined): number | undefined;
export function durationMs(duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** The duration of so many milliseconds (fractions down to the nanosecond). */
export function durationFromMs(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return create(DurationSchema, {
    seconds: BigInt(seconds),
    nanos: Math.round((ms - seconds * 1000) * 1e6),
  });
}
