import { createFileRegistry, create, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { reasonOf } from './refusal.ts';

/**
 * The types of a serialised `google.protobuf.FileDescriptorSet` (`protoc --include_imports --descriptor_set_out`).
 * @throws Error which says what is wrong with it
 */
export function readDescriptors(bytes: Uint8Array): FileRegistry {
  let set: FileDescriptorSet;
  try {
    set = fromBinary(FileDescriptorSetSchema, bytes);
  } catch (error) {
    throw new Error(`this is no serialised google.protobuf.FileDescriptorSet: ${reasonOf(error)}`);
  }
  const file = importsFirst(set.file);
  try {
    return createFileRegistry(create(FileDescriptorSetSchema, { file }));
  } catch (error) {
    throw new Error(`the descriptor set is not complete (protoc: --include_imports): ${reasonOf(error)}`);
  }
}

/** In an order in which each file comes behind those that it imports; protoc writes them so, others need not. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const left = new Map(files.map((file) => [file.name, file]));
  const sorted: FileDescriptorProto[] = [];
  const place = (file: FileDescriptorProto): void => {
    if (!left.delete(file.name)) return;
    for (const name of file.dependency) {
      const dependency = left.get(name);
      if (dependency !== undefined) place(dependency);
    }
    sorted.push(file);
  };
  for (const file of files) place(file);
  return sorted;
}
