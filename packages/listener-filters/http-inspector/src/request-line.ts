/** What Envoy takes for a request line: the rules of its HTTP/1 parser, any method allowed. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Empty: HTTP/0.9. */
const VERSION = /^(HTTP\/\d\.\d)?$/;
const PATH_AND_QUERY = /^[\t\f!-~]*$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*:\/\//;
const HOST = /^[A-Za-z0-9!$%&'()*+,\-.:;=@[\]_~]*$/;

/** @param line without its end @returns the protocol as ALPN names it; undefined when it is no request line */
export function protocolOf(line: string): 'http/1.0' | 'http/1.1' | undefined {
  // By hand: a regular expression for all of it would try every way of sharing out a long run of blanks.
  let end = line.length;
  while (isBlank(line, end - 1)) end--;
  const [method, afterMethod] = word(line, 0, end);
  const [target, afterTarget] = word(line, afterMethod, end);
  const version = line.slice(afterTarget, end);
  if (!TOKEN.test(method) || !isTarget(target, method === 'CONNECT') || !VERSION.test(version))
    return undefined;
  return version === 'HTTP/1.1' ? 'http/1.1' : 'http/1.0';
}

/** What stands before the next blank, and where the next word begins. */
function word(line: string, from: number, end: number): [word: string, next: number] {
  let at = from;
  while (at < end && !isBlank(line, at)) at++;
  const found = line.slice(from, at);
  while (at < end && isBlank(line, at)) at++;
  return [found, at];
}

const isBlank = (line: string, at: number): boolean => line.charCodeAt(at) <= 0x20;

/** Whether a line whose end has not come may become a request line; only its method is looked at. */
export function mayBegin(line: string): boolean {
  let end = 0;
  while (end < line.length && !isBlank(line, end)) end++;
  return line === '' || TOKEN.test(line.slice(0, end));
}

function isTarget(target: string, connect: boolean): boolean {
  if (target.startsWith('/') || target.startsWith('*')) return PATH_AND_QUERY.test(target);
  const scheme = connect ? '' : SCHEME.exec(target)?.[0];
  if (scheme === undefined) return false;
  const rest = target.slice(scheme.length);
  const path = rest.search(/[/?]/);
  const host = path < 0 ? rest : rest.slice(0, path);
  return HOST.test(host) && !host.includes('@@') && PATH_AND_QUERY.test(rest.slice(host.length));
}
