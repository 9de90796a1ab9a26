import type { DescMessage, Registry } from '@bufbuild/protobuf';
import { type Source, SourceError } from './source.ts';

export function readTextFormat(_text: string, _schema: DescMessage, _registry: Registry): Source {
  throw new SourceError([{ offset: 0, message: 'text format is not read yet' }]);
}
