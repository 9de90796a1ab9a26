/**
 * What becomes of each field of a config message, found by trying: the field is set in a small valid bootstrap, and the
 * proxy that the sidecar would build from it is compiled. A problem at the very place of the field is a refusal.
 */
import { baseline } from './baseline.mjs';
import { makeMaterial, withMaterial } from './material.mjs';
import { excludedBy, neededBy, valuesFor } from './values.mjs';

/**
 * @typedef {{ name: string, deprecated: boolean, verdict: 'supported' | 'no effect' | 'refused' | 'extension',
 *   text: string }} FieldReport
 */

export class FieldProbe {
  /** @param {Awaited<ReturnType<import('./sources.mjs').loadSources>>} sources */
  constructor(sources) {
    this.sources = sources;
    this.material = makeMaterial(sources);
  }

  /** @throws {Error} when the baseline itself is refused: then nothing below would mean anything */
  async checkBaseline() {
    const { problems } = await this.compile(baseline());
    if (problems.length > 0) throw new Error(`the baseline is refused:\n${problems.map(line).join('\n')}`);
  }

  /**
   * @param {{ type: string, path: string }} site
   * @returns {Promise<FieldReport[]>} in the order of the API's field numbers
   * @throws {Error} naming the fields whose trial failed elsewhere than at the field: they need a better value
   */
  async message(site) {
    const desc = this.sources.api.messageType(site.type);
    if (desc === undefined) throw new Error(`the API has no ${site.type}`);
    const reports = [];
    const unclear = [];
    for (const field of desc.fields.toSorted((a, b) => a.number - b.number)) {
      const report = await this.field(site, field);
      if ('unclear' in report) unclear.push(report.unclear);
      else reports.push({ name: field.name, deprecated: field.deprecated, ...report });
    }
    if (unclear.length > 0) throw new Error(`no verdict for\n${unclear.join('\n')}`);
    return reports;
  }

  async field(site, field) {
    const outcomes = [];
    for (const { value, label } of valuesFor(site, field)) {
      const outcome = await this.try(site, field, value);
      if (outcome.unclear !== undefined) return outcome;
      outcomes.push({ ...outcome, label });
    }
    return summarise(outcomes);
  }

  async try(site, field, value) {
    const json = baseline();
    const message = this.place(json, site.path);
    for (const name of excludedBy(site, field, value)) delete message[name];
    for (const { name, value: needed, around = false } of neededBy(site, field, value)) {
      const holder = around ? this.place(json, site.path.replace(/\.\w+$/, '')) : message;
      holder[name] = needed;
    }
    message[field.name] = value;
    const { problems, warnings } = await this.compile(json);
    const path = site.path === '' ? field.name : `${site.path}.${field.name}`;
    const own = problems.find((problem) => problem.path === path);
    if (own !== undefined && REFUSAL.test(own.message)) return { verdict: 'refused', text: own.message };
    const missing = problems.find(({ message: text }) => MISSING_EXTENSION.test(text));
    if (missing?.path.startsWith(path)) return { verdict: 'extension', text: '' };
    if (problems.length > 0)
      return { unclear: `${path} = ${JSON.stringify(value)}\n  ${problems.map(line).join('\n  ')}` };
    const warning = warnings.find((text) => new RegExp(`\\b${field.name}\\b`).test(text));
    if (warning !== undefined)
      return { verdict: 'no effect', text: warning.slice(warning.indexOf(': ') + 2) };
    return { verdict: 'supported', text: '' };
  }

  place(json, path) {
    let at = json;
    for (const step of path === '' ? [] : this.sources.api.parsePath(path)) {
      const key = typeof step === 'object' ? step.key : step;
      at[key] ??= {};
      at = at[key];
    }
    return at;
  }

  /** Compiles a bootstrap given in proto3 JSON. The checks of `validate.rules` are left out: a field is tried alone. */
  async compile(json) {
    const { api, core, server, extensions } = this.sources;
    const log = new WarningLog();
    try {
      const bootstrap = api.readLoose(api.BootstrapSchema, withMaterial(json, this.material));
      await server.validateBootstrap({ bootstrap, extensions, log });
      return { problems: [], warnings: log.warnings };
    } catch (error) {
      if (!(error instanceof core.ConfigError)) throw error;
      return { problems: error.problems, warnings: log.warnings };
    }
  }
}

/** What `ExtensionRegistry.resolve` says of an extension that is not there. */
const MISSING_EXTENSION = /is not part of this proxy|^unknown extension /;

/** How refusals are worded; any other problem at a field is about the value it was tried with. */
const REFUSAL =
  /\b(is|are) (not|only) (supported|built|possible|known|wired)|cannot (be|have)|needs (TLS|the original_dst)|are not discovered|Envoy does not act|not supported (yet|here)|there is one here/;

const line = ({ path, message }) => `${path}: ${message}`;

/** One report from what became of each value that was tried. */
export function summarise(outcomes) {
  const [first] = outcomes;
  if (outcomes.every(({ verdict }) => verdict === first.verdict)) {
    return { verdict: first.verdict, text: first.text };
  }
  const labels = (verdict) =>
    outcomes.filter((one) => one.verdict === verdict).map(({ label }) => `\`${label}\``);
  const parts = [];
  if (labels('refused').length > 0) parts.push(`refused: ${labels('refused').join(', ')}`);
  if (labels('extension').length > 0) parts.push(`need an extension: ${labels('extension').join(', ')}`);
  return { verdict: 'supported', text: parts.join('; ') };
}

/** Loggers that keep what the loader warns of. */
class WarningLog {
  warnings = [];

  logger() {
    const warn = (text) => this.warnings.push(text);
    const nothing = () => {};
    return {
      enabled: () => false,
      trace: nothing,
      debug: nothing,
      info: nothing,
      warn,
      error: nothing,
      critical: nothing,
    };
  }

  loggers() {
    return [];
  }

  setLevel() {}
}
