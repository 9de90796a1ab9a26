export {
  createFormatterFactory,
  DEFAULT_FORMAT,
  type FormatterConfig,
  type FormatterFactoryOptions,
} from './factory.ts';
export { OPERATOR_NAMES } from './parse.ts';
