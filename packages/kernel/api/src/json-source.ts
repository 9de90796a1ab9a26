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
    const reason = (error as Error).message
      .replace(/ ?(in JSON )?at position.*$/s, '')
      .replace(/, (\.\.\.)?".*$/s, '');
    throw new SourceError([{ offset: firstMistake(text), message: `not JSON: ${reason}` }]);
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

const TOKEN =
  /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.]))/y;

/** Where the grammar of JSON is broken first: the engine's own message does not always say. */
function firstMistake(text: string): number {
  const open: string[] = [];
  let wanted: 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'colon' | 'next' | 'end' = 'value';
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const start =
      match === null
        ? at + (/^[ \t\n\r]*/.exec(text.slice(at))?.[0].length ?? 0)
        : TOKEN.lastIndex - (match[1] ?? match[2] ?? match[3]).length;
    if (match === null) return start;
    const [, sign, string, other] = match;
    const isValue = wanted === 'value' || wanted === 'valueOrEnd';
    const after = () => (open.length === 0 ? 'end' : 'next');
    if (isValue && (string !== undefined || other !== undefined)) wanted = after();
    else if (isValue && (sign === '{' || sign === '[')) {
      open.push(sign);
      wanted = sign === '{' ? 'keyOrEnd' : 'valueOrEnd';
    } else if ((wanted === 'key' || wanted === 'keyOrEnd') && string !== undefined) wanted = 'colon';
    else if (wanted === 'colon' && sign === ':') wanted = 'value';
    else if (wanted === 'next' && sign === ',') wanted = open.at(-1) === '{' ? 'key' : 'value';
    else if (
      (sign === '}' && open.at(-1) === '{' && (wanted === 'keyOrEnd' || wanted === 'next')) ||
      (sign === ']' && open.at(-1) === '[' && (wanted === 'valueOrEnd' || wanted === 'next'))
    ) {
      open.pop();
      wanted = after();
    } else return start;
    at = TOKEN.lastIndex;
  }
}
