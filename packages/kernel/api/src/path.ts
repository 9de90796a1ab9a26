/**
 * Paths in a config, as errors print them: `static_resources.listeners[0].filters[1].typed_config.stat_prefix`,
 * map keys quoted: `typed_per_filter_config["envoy.filters.http.cors"]`. An `Any` adds no step of its own.
 */

/** A field name, a list index, or a map key. */
export type PathStep = string | number | { readonly key: string };

/** The text of a path. */
export function formatPath(steps: readonly PathStep[]): string {
  let text = '';
  for (const step of steps) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (typeof step === 'object') text += `[${JSON.stringify(step.key)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

const STEP = /\.?([^.[\]"]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/gy;

/** The steps of a path's text; what cannot be read ends it. */
export function parsePath(path: string): PathStep[] {
  const steps: PathStep[] = [];
  STEP.lastIndex = 0;
  for (let match = STEP.exec(path); match !== null; match = STEP.exec(path)) {
    if (match[1] !== undefined) steps.push(match[1]);
    else if (match[2] !== undefined) steps.push(Number(match[2]));
    else {
      try {
        steps.push({ key: JSON.parse(match[3]) as string });
      } catch {
        break;
      }
    }
  }
  return steps;
}

/** `idle_timeout` → `idleTimeout`: proto3 JSON knows each field by both names. */
export function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
