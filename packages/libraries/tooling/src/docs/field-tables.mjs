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
  const unused = new Set([...Object.keys(NOTES), ...Object.keys(WITHOUT_EFFECT)]);
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

function row(site, report, unused) {
  const key = fieldKey(site, report.name);
  const silent = report.verdict !== 'refused' && Object.hasOwn(WITHOUT_EFFECT, key);
  const note = silent ? WITHOUT_EFFECT[key] : report.verdict === 'refused' ? undefined : NOTES[key];
  if (note !== undefined) unused.delete(key);
  const verdict = silent ? 'no effect' : report.verdict;
  const texts = [
    report.deprecated ? 'deprecated' : '',
    reason(site.type, report),
    report.verdict === 'extension' ? 'for extensions that the assembly has' : '',
    note ?? '',
  ];
  return [`\`${report.name}\``, VERDICTS[verdict], texts.filter((text) => text !== '').join('; ')];
}

/** What the loader says, without the general text that says no more than "refused". */
function reason(type, { name, text }) {
  return text === `${name} of ${type} is not supported yet; remove it` ? '' : text;
}
