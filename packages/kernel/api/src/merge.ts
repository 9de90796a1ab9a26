import { clone, type DescMessage, mergeFromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type Bootstrap, BootstrapSchema } from './gen/index.ts';

/**
 * `overlay` merged over `base` as protobuf's MergeFrom does it, into a new message: single values that are set replace,
 * messages merge field by field, lists are appended, maps take the overlay's entry.
 */
export function mergeMessages<S extends DescMessage>(
  schema: S,
  base: MessageShape<S>,
  overlay: MessageShape<S>,
): MessageShape<S> {
  return mergeFromBinary(schema, clone(schema, base), toBinary(schema, overlay));
}

/** `--config-yaml` over `--config-path`. See {@link mergeMessages}. */
export function mergeBootstrap(base: Bootstrap, overlay: Bootstrap): Bootstrap {
  return mergeMessages(BootstrapSchema, base, overlay);
}
