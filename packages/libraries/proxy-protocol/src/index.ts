export {
  LOCAL_HEADER,
  MAX_TLV_VALUE_BYTES,
  UNKNOWN_HEADER,
  type V2Header,
  writeV1,
  writeV2,
} from './header.ts';
