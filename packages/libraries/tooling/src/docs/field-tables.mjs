/** Tables of fields for `docs/compatibility.md`. */
import { table } from './blocks.mjs';
import { FieldProbe } from './fields.mjs';
import { NOTES, WITHOUT_EFFECT } from './notes.mjs';
import { SITES } from './sites.mjs';
import { fieldKey } from './values.mjs';

const VERDICTS = {
  supported: '**supported**',
  extension: '**supported**',
  'no effect': 'no effect',
  refused: 'refused',
};

/** @returns {Promise<string>} Markdown, from level 3 on */
export async function fieldTables(sources) {
  const probe = new FieldProbe(sources);
  await probe.checkBaseline();
  const unused = new Set([NOTES, WITHOUT_EFFECT].flatMap(Object.keys));
  const sections = [];
  for (const site of SITES) {
    if (site.group !== undefined) {
      sections.push(`### ${site.group}`);
      continue;
    }
    const rows = (await probe.message(site)).map((report) => row(site, report, unused));
    const note = site.note === undefined ? '' : `${site.note[0].toUpperCase()}${site.note.slice(1)}.\n\n`;
    const body = rows.length === 0 ? 'Has no fields.' : table(['field', '', ''], rows);
    sections.push(`#### ${site.type}\n\n${note}${body}`);
  }
  if (unused.size > 0) throw new Error(`notes on what is refused or not listed: ${[...unused].join(', ')}`);
  return sections.join('\n\n');
}

function row(site, found, unused) {
  const key = fieldKey(site, found.name);
  const report = { ...found, ...judged(key, found, unused) };
  const texts = [
    report.deprecated ? 'deprecated' : '',
    reason(site.type, report),
    report.verdict === 'extension' ? 'for extensions that the assembly has' : '',
    report.note ?? '',
  ];
  return [`\`${report.name}\``, VERDICTS[report.verdict], texts.filter((text) => text !== '').join('; ')];
}

/**
 * What the notes make of a trial.
 * @param {Set<string>} unused notes that no field has asked for so far
 */
export function judged(key, { verdict, text }, unused) {
  if (verdict === 'refused') return {};
  const told = (table) => {
    if (!Object.hasOwn(table, key)) return undefined;
    unused.delete(key);
    return table[key];
  };
  if (verdict === 'no effect') return {};
  const why = told(WITHOUT_EFFECT);
  return why === undefined ? { note: told(NOTES) } : { verdict: 'no effect', text, note: why };
}

/** What the loader says, without the general text that says no more than "refused". */
function reason(type, { name, text }) {
  return text === `${name} of ${type} is not supported yet; remove it` ? '' : text;
}
