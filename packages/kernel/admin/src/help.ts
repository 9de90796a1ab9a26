import type { Endpoint } from './endpoint.ts';

/** Every endpoint and its parameters, sorted by path, in the layout of Envoy's `/help`. */
export function helpText(endpoints: readonly Endpoint[]): string {
  let help = 'admin commands are:\n';
  for (const endpoint of sortedByPath(endpoints)) {
    help += `  ${endpoint.path}${endpoint.mutates === true ? ' (POST)' : ''}: ${endpoint.help}\n`;
    for (const { name, help: meaning, choices } of endpoint.parameters ?? []) {
      const oneOf = choices === undefined ? '' : `; One of (${choices.join(', ')})`;
      help += `      ${name}: ${meaning}${oneOf}\n`;
    }
  }
  return help;
}

export function sortedByPath(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...endpoints].sort((a, b) => (a.path < b.path ? -1 : 1));
}
