const properNames = new Map<string, string>();
const MAX_PROPER_NAMES = 1000;

/** `x-request-id` → `X-Request-Id`. */
export function properCase(name: string): string {
  let proper = properNames.get(name);
  if (proper === undefined) {
    proper = name.replace(
      /(^|[^a-z0-9])([a-z])/g,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    );
    if (properNames.size < MAX_PROPER_NAMES) properNames.set(name, proper);
  }
  return proper;
}
