import { readLoose, SubstitutionFormatStringSchema } from '@dragoman/api';
import type { LogContext } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { createFormatterFactory } from '../src/index.ts';
import { emptyContext } from './fixtures.ts';

const formatters = createFormatterFactory({ env: {} });
/** UTF-8 bytes, as a body holds them. */
const BODY = Buffer.from('<p>\n\té "x"</p>\r\n').toString('latin1');

describe('%LOCAL_REPLY_BODY%', () => {
  it.each<[string, object, boolean, string | undefined, string]>([
    ['raw text', { text_format: '[%LOCAL_REPLY_BODY%]' }, true, BODY, `[${BODY}]`],
    ['a line of a log', { text_format: '[%LOCAL_REPLY_BODY%]' }, false, '<p>\n</p>', '[<p>\\n</p>]'],
    ['raw text, nothing there', { text_format: '[%LOCAL_REPLY_BODY%|%REQ(x)%]' }, true, undefined, '[|-]'],
    [
      'raw text, nothing there, left out',
      { text_format: '[%REQ(x)%]', omit_empty_values: true },
      true,
      undefined,
      '[]',
    ],
    [
      'raw text from a source',
      { text_format_source: { inline_string: '%LOCAL_REPLY_BODY%\n' } },
      true,
      'a\nb',
      'a\nb\n',
    ],
    [
      'text of the format',
      { text_format: 'é%LOCAL_REPLY_BODY%' },
      true,
      '',
      Buffer.from('é').toString('latin1'),
    ],
    [
      'JSON',
      { json_format: { body: '%LOCAL_REPLY_BODY%', text: 'is %LOCAL_REPLY_BODY%' } },
      true,
      'a"\n',
      '{"body":"a\\"\\n","text":"is a\\"\\n"}\n',
    ],
  ])('%s', (_, format, raw, localReplyBody, expected) => {
    const context: LogContext = { ...emptyContext(), localReplyBody };
    expect(
      formatters
        .fromConfig(readLoose(SubstitutionFormatStringSchema, format as never), { raw })
        .format(context),
    ).toBe(expected);
  });

  it('keeps bytes that are no UTF-8', () => {
    const formatter = formatters.text('%LOCAL_REPLY_BODY%', { raw: true });
    expect(formatter.format({ ...emptyContext(), localReplyBody: '\xff\xfe' })).toBe('\xff\xfe');
  });
});
