import type { JsonValue } from '@bufbuild/protobuf';
import { stringify } from 'yaml';

/** JSON as block-style YAML, keys in their order; long texts stay on one line. */
export function toYaml(value: JsonValue): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
