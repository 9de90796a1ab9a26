import { isIP } from 'node:net';

/** What of `/etc/resolv.conf` (resolv.conf(5)) is used. */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  /** Dots from which a name is tried as it is before the search list. 0 … 15, default 1. */
  readonly ndots: number;
  /** Seconds a server has for its first answer. 1 … 30; undefined: not given. */
  readonly timeoutS: number | undefined;
  /** 1 … 5; undefined: not given. */
  readonly attempts: number | undefined;
}

/** glibc's classic bound, kept so that one lookup cannot become any number of queries. */
const MAX_SEARCH = 6;
const MAX_SERVERS = 3;

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  let options: string[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/[#;].*/, '').trim();
    const [keyword, ...values] = line.split(/\s+/);
    // A link-local server needs its zone, which c-ares cannot be told: passed over.
    if (keyword === 'nameserver' && isIP(values[0]) !== 0 && !values[0].includes('%'))
      nameservers.push(values[0]);
    // The last of the two counts.
    else if (keyword === 'search') search = values;
    else if (keyword === 'domain') search = values.slice(0, 1);
    else if (keyword === 'options') options = [...options, ...values];
  }
  return {
    nameservers: nameservers.slice(0, MAX_SERVERS),
    search: search
      .slice(0, MAX_SEARCH)
      .map((domain) => domain.replace(/^\.+|\.+$/g, ''))
      .filter(Boolean),
    ndots: numberOption(options, 'ndots', 0, 15) ?? 1,
    timeoutS: numberOption(options, 'timeout', 1, 30),
    attempts: numberOption(options, 'attempts', 1, 5),
  };
}

function numberOption(
  options: readonly string[],
  name: string,
  least: number,
  most: number,
): number | undefined {
  const found = options.findLast((option) => option.startsWith(`${name}:`));
  const value = Number(found?.slice(name.length + 1));
  return found === undefined || !Number.isInteger(value) ? undefined : Math.min(most, Math.max(least, value));
}
