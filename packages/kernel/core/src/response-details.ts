const MAX_WORD = 64;

/** A name as response code details may hold it: without spaces or anything that would have to be escaped; `-` for none. */
export function detailsWord(name: string): string {
  return name === '' ? '-' : name.slice(0, MAX_WORD).replaceAll(/[^\w.:/-]/g, '_');
}
