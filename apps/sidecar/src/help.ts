import { FLAG_TABLE, type FlagSpec } from './flag-table.ts';

const WIDTH = 100;
const COLUMN = 36;

/** The text of `--help`. */
export function helpText(): string {
  const specs: readonly FlagSpec[] = FLAG_TABLE;
  const acting = specs.filter(({ ignored }) => ignored === undefined);
  const ignored = specs.filter((spec) => spec.ignored !== undefined);
  return [
    'Usage: dragoman -c <path> [flags]',
    '       dragoman supervise -- -c <path> [flags]      hot restarts on SIGHUP',
    '       dragoman check-routes -c <path> -t <path>    tests of routes, without traffic',
    "       dragoman explain -c <path> 'GET <url>'       where a request goes, and why",
    '',
    'Runs an Envoy configuration. Flags are written --flag value or --flag=value.',
    '',
    ...acting.map((spec) => entry(spec, describe(spec))),
    '',
    'Accepted because Envoy has them, without effect here (one warning each):',
    '',
    ...ignored.map((spec) => entry(spec, `${spec.help}: ${spec.ignored}`)),
    '',
    'Signals: SIGTERM and SIGINT drain and end (a second one ends at once), SIGUSR1 reopens the logs.',
    '',
  ].join('\n');
}

function describe({ help, default: value }: FlagSpec): string {
  return value === undefined ? help : `${help} (default: ${value})`;
}

function entry({ name, short, value }: FlagSpec, text: string): string {
  const head = `  ${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`;
  const lines = wrap(text, WIDTH - COLUMN);
  const first = head.length < COLUMN ? `${head.padEnd(COLUMN)}${lines.shift()}` : head;
  return [first, ...lines.map((line) => ' '.repeat(COLUMN) + line)].join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
