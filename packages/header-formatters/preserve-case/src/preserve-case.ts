import {
  PreserveCaseFormatterConfig_FormatterTypeOnEnvoyHeaders as OnOwnHeaders,
  PreserveCaseFormatterConfigSchema,
} from '@dragoman/api';
import { defineHeaderFormatter, type HeaderNameFormatter, properCase } from '@dragoman/core';

/** `envoy.http.stateful_header_formatters.preserve_case`: headers go on in the case in which they came. */
export const preserveCase = defineHeaderFormatter({
  name: 'envoy.http.stateful_header_formatters.preserve_case',
  config: PreserveCaseFormatterConfigSchema,
  create({ forwardReasonPhrase, formatterTypeOnEnvoyHeaders }) {
    const proper = formatterTypeOnEnvoyHeaders === OnOwnHeaders.PROPER_CASE;
    return () => new PreserveCase(forwardReasonPhrase, proper);
  },
});

/** The names of one message. Of a name that came several times the first spelling is kept, as in Envoy. */
class PreserveCase implements HeaderNameFormatter {
  private readonly spellings = new Map<string, string>();
  private readonly forwardReasonPhrase: boolean;
  private readonly proper: boolean;
  private phrase = '';

  constructor(forwardReasonPhrase: boolean, proper: boolean) {
    this.forwardReasonPhrase = forwardReasonPhrase;
    this.proper = proper;
  }

  remember(name: string): void {
    const lower = name.toLowerCase();
    if (!this.spellings.has(lower)) this.spellings.set(lower, name);
  }

  format(name: string): string {
    return this.spellings.get(name) ?? (this.proper ? properCase(name) : name);
  }

  get reasonPhrase(): string {
    return this.phrase;
  }

  set reasonPhrase(phrase: string) {
    if (this.forwardReasonPhrase) this.phrase = phrase;
  }
}
