import { StringValueSchema } from '@dragoman/api';
import { ConfigError, defineHttpFilter } from '@dragoman/core';

/** Answers requests for a path with a text: its config is `<path> <text>`. The text `bad` is refused. */
export const answering = defineHttpFilter({
  name: 'answering',
  config: StringValueSchema,
  create({ value }) {
    const [path, text] = value.split(' ');
    if (text === 'bad') throw ConfigError.at('value', 'is bad');
    return (stream) => ({
      onRequestHeaders(headers) {
        if (headers.path !== path) return undefined;
        stream.reply({ status: 200, body: text, details: 'answered' });
        return 'pause';
      },
    });
  },
});
