import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A place in a stack trace: `file:///…/x.js:12:34`, or the same as a path. */
const PLACE = /(?<![^\s(])((?:file:\/\/)?\/[^\s()]+\.js):(\d+):(\d+)/g;

/** Puts the places of the sources into stack traces of bundled code, whose lines say nothing to a person. */
export class SourcePositions {
  private readonly folder: string;
  private readonly maps = new Map<string, SourceMap | undefined>();

  /** @param folder of the code, with maps beside it: other files are not looked at, whatever a text names */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** The maps are read when the first trace is printed, and never before. Never throws. */
  apply(text: string): string {
    if (!text.includes('.js:')) return text;
    return text.replace(PLACE, (place, file: string, line: string, column: string) => {
      const entry = this.mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
      if (entry === undefined || !('originalSource' in entry)) return place;
      const source = entry.originalSource.replace(/^(\.\.\/)+/, '');
      return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    });
  }

  private mapOf(file: string): SourceMap | undefined {
    const name = basename(file);
    if (this.maps.has(name)) return this.maps.get(name);
    const path = `${this.folder}/${name}`;
    // Code that does not exist would be remembered, name by name, of a text that makes it up.
    if ((file !== path && file !== pathToFileURL(path).href) || !existsSync(path)) return undefined;
    let map: SourceMap | undefined;
    try {
      map = new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')) as SourceMapPayload);
    } catch {
      // No map lies beside it. It is not looked for again.
    }
    this.maps.set(name, map);
    return map;
  }
}
