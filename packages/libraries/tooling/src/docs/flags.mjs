/** The flags of the command, from the table that its parser reads. */
import { table } from './blocks.mjs';

const flagName = ({ name, short, value }) =>
  `\`${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}\``;

/** @param {readonly import('../../../../../apps/sidecar/src/flag-table.ts').FlagSpec[]} specs */
export function flagTable(specs) {
  const rows = specs
    .filter(({ ignored }) => ignored === undefined)
    .map((spec) => [flagName(spec), spec.default === undefined ? '' : `\`${spec.default}\``, spec.help]);
  return table(['flag', 'default', 'what it does'], rows);
}

/** Flags of Envoy's that are taken and change nothing. */
export function ignoredFlagTable(specs) {
  const rows = specs
    .filter(({ ignored }) => ignored !== undefined)
    .map((spec) => [flagName(spec), spec.ignored]);
  return table(['flag', 'why it does nothing'], rows);
}
