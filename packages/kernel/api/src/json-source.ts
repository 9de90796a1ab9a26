import { type Source, SourceError } from './source.ts';
import { readYaml } from './yaml-source.ts';

/**
 * Reads JSON. Places are looked up only when there is something to report: the text is then read again by the YAML
 * parser, which keeps positions and takes any JSON.
 * @throws SourceError on what is not JSON
 */
export function readJson(text: string): Source {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = (error as Error).message;
    const position = /at position (\d+)/.exec(message);
    const offset = position !== null ? Number(position[1]) : /end of JSON/.test(message) ? text.length : 0;
    throw new SourceError([
      {
        offset,
        message: `not JSON: ${message.replace(/ ?(in JSON )?at position.*$/s, '').replace(/, "[\s\S]*$/, '')}`,
      },
    ]);
  }
  let placed: Source | undefined;
  return {
    value,
    find(steps, part) {
      try {
        placed ??= readYaml(text);
        return placed.find(steps, part);
      } catch {
        return { offset: 0, depth: 0 };
      }
    },
  };
}
