import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
export const ServingStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** Both messages have one field. */
const FIELD = 1;

/** A `grpc.health.v1.HealthCheckRequest`. */
export function encodeRequest(service: string): Uint8Array {
  const writer = new BinaryWriter();
  if (service !== '') writer.tag(FIELD, WireType.LengthDelimited).string(service);
  return writer.finish();
}

/** The `status` of a `grpc.health.v1.HealthCheckResponse`; undefined for bytes that are none. Fields that are not known are skipped. */
export function decodeStatus(message: Uint8Array): number | undefined {
  try {
    const reader = new BinaryReader(message);
    let status: number = ServingStatus.UNKNOWN;
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === FIELD && type === WireType.Varint) status = reader.int32();
      else reader.skip(type, field);
    }
    return reader.pos === reader.len ? status : undefined;
  } catch {
    return undefined;
  }
}
