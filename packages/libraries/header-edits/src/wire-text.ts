import { utf8Bytes } from '@dragoman/matching';

const BYTES = /^[\x00-\xff]*$/;
const UNFIT = /[\0\r\n]/;

/** What a formatter made, as header maps hold it. Parts that came from headers are bytes already. */
export function formattedBytes(value: string): string {
  return BYTES.test(value) ? value : utf8Bytes(value);
}

/** Whether `value` would break the header line it stands in. */
export function isUnfitForWire(value: string): boolean {
  return UNFIT.test(value);
}
