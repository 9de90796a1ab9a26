import type { MetadataValue } from './stream-info.ts';
import type { EndpointData, HostListPolicy } from './upstream.ts';

/** Whether two endpoints say the same, whatever objects say it. */
export function sameEndpoint(one: EndpointData, other: EndpointData): boolean {
  return (
    one === other ||
    (one.address === other.address &&
      one.id === other.id &&
      one.hostname === other.hostname &&
      one.weight === other.weight &&
      one.health === other.health &&
      one.healthCheckAddress === other.healthCheckAddress &&
      one.healthCheckHostname === other.healthCheckHostname &&
      one.noHealthCheck === other.noHealthCheck &&
      one.checked === other.checked &&
      one.outcomeRow === other.outcomeRow &&
      sameValue(one.metadata, other.metadata))
  );
}

/** Whether two values are equal all the way down. */
export function sameValue(one: MetadataValue | undefined, other: MetadataValue | undefined): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [left, right] = [one, other] as { readonly [key: string]: MetadataValue }[];
  let surplus = 0;
  for (const key in left) {
    if (!Object.hasOwn(right, key) || !sameValue(left[key], right[key])) return false;
    surplus++;
  }
  for (const _ in right) surplus--;
  return surplus === 0;
}

/** Whether two lists turn the same requests away. */
export function sameDrops(
  { dropOverload: one }: HostListPolicy,
  { dropOverload: other }: HostListPolicy,
): boolean {
  return one?.ratio === other?.ratio && one?.category === other?.category;
}
